//! Chooses the backend, once: `nested_kernels_backend` is "portable", "dsp", "x86_64" or "aarch64".
//!
//! It is done here because `cfg(target_feature = "dsp")` is invisible on stable Rust.
use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!(
        "cargo::rustc-check-cfg=cfg(nested_kernels_backend, values(\"portable\", \"dsp\", \"x86_64\", \"aarch64\"))"
    );
    // What a user may say with `--cfg`.
    println!("cargo::rustc-check-cfg=cfg(nested_kernels_dsp)");
    println!("cargo::rustc-check-cfg=cfg(nested_kernels_force_portable)");
    println!("cargo::rustc-check-cfg=cfg(nested_kernels_armv8m)");
    println!("cargo::rustc-cfg=nested_kernels_backend=\"{}\"", backend());
    if env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m")) {
        println!("cargo::rustc-cfg=nested_kernels_armv8m");
    }
}

fn backend() -> &'static str {
    let said = |name: &str| env::var_os(format!("CARGO_CFG_{name}")).is_some();
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|list| list.split(',').any(|item| item == value));
    // Every ARMv7E-M core (Cortex-M4, M7) has the DSP extension. On ARMv8-M Mainline (Cortex-M33 …) it is optional:
    // there the user says so.
    let has_dsp = env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv7em"));
    if said("NESTED_KERNELS_FORCE_PORTABLE") {
        "portable"
    } else if has_dsp || said("NESTED_KERNELS_DSP") {
        "dsp"
    } else if is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_FEATURE", "sse2") {
        "x86_64"
    } else if is("CARGO_CFG_TARGET_ARCH", "aarch64") && is("CARGO_CFG_TARGET_FEATURE", "neon") {
        "aarch64"
    } else {
        "portable"
    }
}
