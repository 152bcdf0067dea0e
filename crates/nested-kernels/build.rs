//! Chooses the backend from the target's name: `cfg(target_feature = "dsp")` is invisible on stable Rust.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(nested_kernels_dsp)");
    println!("cargo::rustc-check-cfg=cfg(nested_kernels_force_portable)");
    // Every ARMv7E-M core (Cortex-M4, M7) has the DSP extension. On ARMv8-M Mainline (Cortex-M33 …) it is optional:
    // there the user says so with `--cfg nested_kernels_dsp`.
    if std::env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv7em")) {
        println!("cargo::rustc-cfg=nested_kernels_dsp");
    }
}
