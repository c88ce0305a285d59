// Messages from the protos of flocks, in $FLOCKS_PROTO. Debian has no generator of ttrpc stubs for Rust; calls are made
// by name (main.rs).
use protobuf::{descriptor::FileDescriptorSet, Message};
use std::{env, fs, path::Path, process::Command};

const MODULES: [&str; 4] = ["types", "options", "config", "supervisor"];

fn main() {
    println!("cargo:rerun-if-env-changed=FLOCKS_PROTO");
    let proto = env::var("FLOCKS_PROTO").unwrap_or_else(|_| "../../../proto".to_string());
    let files: Vec<String> = MODULES.iter().map(|name| format!("flocks/v1/{}.proto", name)).collect();
    for file in &files {
        println!("cargo:rerun-if-changed={}/{}", proto, file);
    }
    let directory = env::var("OUT_DIR").expect("OUT_DIR");
    let out = Path::new(&directory);
    let descriptors = out.join("flocks.set");
    let done = Command::new("protoc")
        .args(&["--include_imports", "-I", &proto, "-o"])
        .arg(&descriptors)
        .args(&files)
        .status()
        .expect("protoc");
    assert!(done.success(), "protoc failed");
    let set = FileDescriptorSet::parse_from_bytes(&fs::read(&descriptors).expect("descriptors")).expect("a descriptor set");
    protobuf_codegen::gen_and_write(set.get_file(), &files, out, &Default::default()).expect("generate");
    let modules: String = MODULES
        .iter()
        .map(|name| format!("#[path = \"{}/{}.rs\"]\npub mod {};\n", directory, name, name))
        .collect();
    fs::write(out.join("flocks.rs"), modules).expect("write");
}
