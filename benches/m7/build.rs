//! Puts the board's `memory.x` where cortex-m-rt's linker script finds it, and names the board.
use std::{env, fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // Of QEMU's mps2 boards only the one with an Armv8-M core (Cortex-M33) has another memory map and clock.
    let armv8m = env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m"));
    let memory = if armv8m { "memory-an505.x" } else { "memory-an500.x" };
    fs::copy(memory, out.join("memory.x")).expect("the boards' memories are beside build.rs");
    println!("cargo:rustc-check-cfg=cfg(board_an505)");
    if armv8m {
        println!("cargo:rustc-cfg=board_an505");
    }
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rerun-if-changed={memory}");
}
