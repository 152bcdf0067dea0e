//! A QEMU plugin that counts how often each translated block of code runs between one call of a firmware's mark and the
//! next. Arguments: `out=FILE`, `mark=ADDRESS` (hexadecimal). For each interval it writes a line `mark` and then, for each
//! block that ran, `address instructions times`.
use std::{
    collections::HashMap,
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    fs::File,
    io::{BufWriter, Write},
    slice,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// QEMU's own.
#[repr(C)]
pub struct TranslatedBlock {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: extern "C" fn(u64, *mut TranslatedBlock));
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut TranslatedBlock,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_vaddr(block: *const TranslatedBlock) -> u64;
    fn qemu_plugin_tb_n_insns(block: *const TranslatedBlock) -> usize;
}

/// The interface's version, which QEMU checks.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = 1;

struct Block {
    address: u64,
    instructions: usize,
    times: AtomicU64,
}

struct Plugin {
    mark: u64,
    out: Mutex<BufWriter<File>>,
    /// By address and length; they live as long as QEMU, which keeps pointers to them.
    blocks: Mutex<HashMap<(u64, usize), &'static Block>>,
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

/// QEMU calls this once, before anything runs. Not 0: the arguments are wrong.
///
/// # Safety
/// `argv` holds `argc` C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: as the caller promises; without arguments the pointer may be null and is not used.
    let arguments = if count == 0 { &[] } else { unsafe { slice::from_raw_parts(argv, count) } };
    // SAFETY: as the caller promises.
    let texts = arguments.iter().filter_map(|text| unsafe { CStr::from_ptr(*text) }.to_str().ok());
    let values: HashMap<&str, &str> = texts.filter_map(|text| text.split_once('=')).collect();
    let out = values.get("out").and_then(|path| File::create(path).ok());
    let mark = values.get("mark").and_then(|text| u64::from_str_radix(text, 16).ok());
    let (Some(out), Some(mark)) = (out, mark) else { return 1 };
    let out = Mutex::new(BufWriter::new(out));
    if PLUGIN.set(Plugin { mark, out, blocks: Mutex::default() }).is_err() {
        return 1;
    }
    // SAFETY: QEMU's own function, with the identity that it has given.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) }
    0
}

extern "C" fn translated(_: u64, translated: *mut TranslatedBlock) {
    // SAFETY: QEMU lends the block for this call.
    let key = unsafe { (qemu_plugin_tb_vaddr(translated), qemu_plugin_tb_n_insns(translated)) };
    let Some(plugin) = PLUGIN.get() else { return };
    let Ok(mut blocks) = plugin.blocks.lock() else { return };
    let block: &'static Block = blocks.entry(key).or_insert_with(|| {
        Box::leak(Box::new(Block { address: key.0, instructions: key.1, times: AtomicU64::new(0) }))
    });
    // SAFETY: the data lives as long as QEMU; no registers are asked for (flags 0).
    unsafe { qemu_plugin_register_vcpu_tb_exec_cb(translated, ran, 0, (&raw const *block).cast_mut().cast()) }
}

extern "C" fn ran(_: c_uint, data: *mut c_void) {
    // SAFETY: the pointer that `translated` has given: a block that is never freed, and only changed through atomics.
    let block = unsafe { &*data.cast::<Block>() };
    match PLUGIN.get() {
        Some(plugin) if plugin.mark == block.address => plugin.write(),
        _ => {
            block.times.fetch_add(1, Relaxed);
        }
    }
}

impl Plugin {
    /// Writes what ran since the last time; a file that cannot be written is seen to be too short by its reader.
    fn write(&self) {
        let (Ok(mut out), Ok(blocks)) = (self.out.lock(), self.blocks.lock()) else { return };
        let _ = writeln!(out, "mark");
        for block in blocks.values() {
            let times = block.times.swap(0, Relaxed);
            if times > 0 {
                let _ = writeln!(out, "{:x} {} {times}", block.address, block.instructions);
            }
        }
        let _ = out.flush();
    }
}
