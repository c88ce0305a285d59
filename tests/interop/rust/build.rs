// Messages from our protos: $FLOCKS_DESCRIPTORS is what protoc says of them. Debian has no generator of ttrpc stubs
// for Rust; the calls are made by hand (main.rs).
use protobuf::{descriptor::FileDescriptorSet, Message};
use std::{env, fs, path::Path};

fn main() {
    let path = env::var("FLOCKS_DESCRIPTORS").expect("FLOCKS_DESCRIPTORS");
    println!("cargo:rerun-if-env-changed=FLOCKS_DESCRIPTORS");
    println!("cargo:rerun-if-changed={}", path);
    let set = FileDescriptorSet::parse_from_bytes(&fs::read(path).expect("descriptors")).expect("a descriptor set");
    let files: Vec<String> = ["types", "options", "config", "supervisor"]
        .iter()
        .map(|name| format!("flocks/v1/{}.proto", name))
        .collect();
    let out = env::var("OUT_DIR").expect("OUT_DIR");
    protobuf_codegen::gen_and_write(set.get_file(), &files, Path::new(&out), &Default::default()).expect("generate");
    let modules: String = ["types", "options", "config", "supervisor"]
        .iter()
        .map(|name| format!("#[path = \"{}/{}.rs\"]\npub mod {};\n", out, name, name))
        .collect();
    fs::write(Path::new(&out).join("flocks.rs"), modules).expect("write");
}
