#![no_std]
#![no_main]
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
mod counter;

#[entry]
fn main() -> ! {
    let counter = counter::Counter::start();
    hprintln!("hello {}", counter.overhead());
    for n in [1000u32, 100000, 10000000] {
        hprintln!("{} {}", n, counter.count(|| counter::spin(n)));
    }
    debug::exit(debug::EXIT_SUCCESS);
    loop {}
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    hprintln!("PANIC {}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
