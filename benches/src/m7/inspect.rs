//! What the compiler made: of the firmware that only runs a network no panic and no floating point, but the DSP extension's
//! instructions.
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

/// Checks that the firmware which only runs networks has no floating-point instruction, not even one that moves a number.
///
/// # Errors
/// [`M7Error::Float`], [`M7Error::Missing`]; a listing without any instruction is no listing.
pub fn no_float(firmware: &Firmware) -> Result<(), M7Error> {
    let elf = firmware.elf(Program::Deployed);
    let code = text("arm-none-eabi-objdump", &["-d", "--demangle"], &elf)?;
    match float(&code) {
        Some((function, instruction)) => {
            Err(M7Error::Float { function: function.to_owned(), instruction: instruction.to_owned() })
        }
        None if mnemonics(&code).is_empty() => {
            Err(M7Error::File { path: elf, problem: "no instruction in its listing".to_owned() })
        }
        None => Ok(()),
    }
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

/// The first floating-point instruction in a listing by objdump, and the function that it is in. All names of such
/// instructions begin with a v, as no other name does.
fn float(code: &str) -> Option<(&str, &str)> {
    let mut function = "";
    for line in code.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|label| label.split_once('<')) {
            function = name;
        } else if let Some(name) = line.split('\t').nth(2).filter(|name| name.starts_with('v')) {
            return Some((function, name.trim()));
        }
    }
    None
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
    fn floating_point_is_found_where_it_is() {
        let integer = "00000400 <main>:\n     400:\tfbc2 0103 \tsmlal\tr0, r1, r2, r3\n     404:\tbf00      \tnop\n";
        assert_eq!(float(integer), None);
        let moved = "0000f608 <<nested_csr::model::Model<&[u8]>>::parameters>:\n    f6fa:\ted9f 0a3f \tvldr\ts0, [pc, #252]\t@ f7f8\n";
        assert_eq!(
            float(&(integer.to_owned() + moved)),
            Some(("<nested_csr::model::Model<&[u8]>>::parameters", "vldr"))
        );
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
