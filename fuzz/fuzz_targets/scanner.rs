#![no_main]
agent_init_fuzz::target!(scanner);
