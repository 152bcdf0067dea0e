//! What the compiler made: no panic in the firmware that only runs a network, and the DSP extension's instructions.
use super::{Firmware, Kernels, M7Error, Program, firmware::start};
use std::{collections::HashSet, path::Path, process::Command};

const REMEDY: &str = "Debian's binutils-arm-none-eabi";
const INSTRUCTIONS: [&str; 5] = ["smlal", "smlad", "smmlar", "pkhbt", "sxtb16"];

impl Firmware {
    /// Bytes of flash that the code of a firmware takes which only runs networks.
    ///
    /// # Errors
    /// [`M7Error::Missing`], or a listing that is none.
    pub fn code_len(&self) -> Result<usize, M7Error> {
        let elf = self.elf(Program::Deployed);
        let sizes = text("arm-none-eabi-size", &[], &elf)?;
        sizes_sum(&sizes).ok_or(M7Error::File { path: elf, problem: format!("no sizes in {sizes:?}") })
    }
}

/// Code and data of the one file in a listing by size.
fn sizes_sum(sizes: &str) -> Option<usize> {
    let mut columns = sizes.lines().nth(1)?.split_whitespace().map(str::parse::<usize>);
    Some(columns.next()?.ok()? + columns.next()?.ok()?)
}

/// Checks that no panic is linked.
///
/// # Errors
/// [`M7Error::PanicLinked`], [`M7Error::Missing`].
pub fn no_panic(firmware: &Firmware) -> Result<(), M7Error> {
    let symbols = text("arm-none-eabi-nm", &["--demangle"], &firmware.elf(Program::Deployed))?;
    match panic_symbol(&symbols) {
        Some(symbol) => Err(M7Error::PanicLinked(symbol.to_owned())),
        None => Ok(()),
    }
}

/// Checks that the compiler's output has the DSP extension's instructions, when the kernels are those that use it.
///
/// # Errors
/// [`M7Error::NoInstruction`], [`M7Error::Missing`].
pub fn dsp_instructions(firmware: &Firmware) -> Result<(), M7Error> {
    if firmware.kernels == Kernels::Dsp {
        let code = text("arm-none-eabi-objdump", &["-d"], &firmware.elf(Program::Deployed))?;
        let found = mnemonics(&code);
        if let Some(missing) = INSTRUCTIONS.into_iter().find(|name| !found.contains(name)) {
            return Err(M7Error::NoInstruction(missing));
        }
    }
    Ok(())
}

fn text(program: &'static str, arguments: &[&str], elf: &Path) -> Result<String, M7Error> {
    let output = start(Command::new(program).args(arguments).arg(elf), program, REMEDY)?;
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(M7Error::File { path: elf.to_owned(), problem });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first symbol of core's panics in a listing by nm.
fn panic_symbol(symbols: &str) -> Option<&str> {
    let names = symbols.lines().filter_map(|line| line.splitn(3, ' ').nth(2));
    names
        .into_iter()
        .find(|name| name.contains("panicking") || name.contains("unwrap_failed") || name.contains("expect_failed"))
}

/// The instructions in a listing by objdump, without their suffixes for width and condition.
fn mnemonics(code: &str) -> HashSet<&str> {
    code.lines().filter_map(|line| line.split('\t').nth(2)).filter_map(|text| text.split(['.', ' ']).next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_data_lie_in_flash() {
        let sizes =
            "   text\t   data\t    bss\t    dec\t    hex\tfilename\n  41000\t     24\t 265226\t 306250\t  4ac4a\tx\n";
        assert_eq!(sizes_sum(sizes), Some(41024));
        assert_eq!(sizes_sum("no such file"), None);
    }

    #[test]
    fn panics_and_instructions_are_found_in_listings() {
        let clean = "00000400 T main\n00000500 t nested_kernels::network::run\n";
        assert_eq!(panic_symbol(clean), None);
        let linked = "00000400 T main\n00000500 t core::panicking::panic_fmt\n";
        assert_eq!(panic_symbol(linked), Some("core::panicking::panic_fmt"));
        let code = "     400:\tfbc2 0103 \tsmlal\tr0, r1, r2, r3\n     404:\tbf00      \tnop\n";
        assert!(mnemonics(code).contains("smlal"));
        assert!(!mnemonics(code).contains("smlad"));
    }
}
