//! The store helpers (`scripts/stores`) against what they are for: `OpenBao`, AWS Secrets Manager as moto has it, a
//! Kubernetes API server's rules, and stand-ins for gcloud, az and gh with the rules of their services.
//!
//! Every store answers the same questions; each module adds what is its own.

/// The tests that every store passes; `WRITES` is how often each of two writers counts.
macro_rules! every_store {
    ($store:path, $writes:expr) => {
        #[test]
        fn every_store_answers_as_the_protocol_says() {
            $crate::stores::rows::answers($store());
        }

        #[test]
        fn every_store_helper_runs_in_every_shell() {
            $crate::stores::rows::any_shell_will_do($store());
        }

        #[test]
        fn no_update_is_lost() {
            $crate::stores::rows::no_update_is_lost($store(), $writes);
        }

        #[test]
        fn two_containers_share_a_login_through_a_store() {
            $crate::stores::run::two_containers($store());
        }

        #[test]
        fn leases_exclude_each_other_and_expire() {
            $crate::stores::leases::leases($store());
        }

        #[test]
        fn a_killed_put_is_whole_or_nothing() {
            $crate::stores::faults::a_killed_put_is_whole_or_nothing($store());
        }

        #[test]
        fn bad_requests_are_refused() {
            $crate::stores::faults::bad_requests($store());
        }

        #[test]
        fn missing_tools_and_settings_are_named() {
            $crate::stores::faults::bad_surroundings($store());
        }

        #[test]
        fn secrets_stay_out_of_arguments_and_files() {
            $crate::stores::faults::secrets_stay_out_of_arguments_and_files($store());
        }
    };
}

mod aws;
mod azure;
mod ci;
mod example;
mod faults;
mod gcp;
mod github;
mod kubernetes;
mod leases;
mod rows;
mod run;
pub mod server;
mod store;
mod vault;
