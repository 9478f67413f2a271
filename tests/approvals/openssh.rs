//! Approvals that OpenSSH makes, and those that it verifies.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Desk;
use crate::needs;

/// Whether OpenSSH is there.
fn has_openssh(tested: &str) -> bool {
    needs::programs(tested, &["ssh-keygen", "ssh-agent", "ssh-add"])
}

fn keygen(folder: &Path, arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

#[test]
fn ssh_keygen_verifies_approvals_and_makes_ones_that_count() {
    if !has_openssh("approvals and ssh-keygen") {
        return;
    }
    let desk = Desk::new();
    let folder = desk.path("");
    let mut allowed = std::fs::read_to_string(desk.path("allowed_signers")).unwrap();
    let kinds =
        [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")];
    for (kind, bits) in kinds {
        let name = format!("{kind}{bits}");
        let made = keygen(&folder, &["-q", "-t", kind, "-b", bits, "-N", "", "-f", &name], "");
        assert!(made.0, "{}", made.1);
        let public = std::fs::read_to_string(desk.path(&format!("{name}.pub"))).unwrap();
        allowed += &format!("{name} {public}");
        desk.approve(&name);
    }
    desk.write("allowed_signers", &allowed);
    desk.approve("ann");
    let arguments =
        ["approvals", "plan.json", "--approvers", "allowed_signers", "--require-approvals", "6"];
    let listed = desk.run(0, &arguments);
    assert_eq!(listed.stdout.matches(": counts\n").count(), 6, "{}", listed.stdout);
    for approval in desk.approvals() {
        let text = std::fs::read_to_string(&approval).unwrap();
        let (line, signature) = text.split_at(text.find('\n').unwrap() + 1);
        desk.write("signature", signature);
        let who = keygen(
            &folder,
            &["-Y", "find-principals", "-s", "signature", "-f", "allowed_signers"],
            "",
        );
        let verify = [
            "-Y",
            "verify",
            "-f",
            "allowed_signers",
            "-I",
            who.1.trim(),
            "-n",
            "meshagent-plan",
            "-s",
            "signature",
        ];
        let verified = keygen(&folder, &verify, line);
        assert!(verified.0, "{}: {}", who.1, verified.1);
        let changed = keygen(&folder, &verify, &line.replace("lobby", "x").replace("T", "t"));
        assert!(!changed.0, "{}", changed.1);
    }
    // Keys that are too weak sign for ssh-keygen, and not for plans.
    let (made, told) =
        keygen(&folder, &["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", "weak"], "");
    assert!(made, "{told}");
    let weak = desk.run(1, &["approve", "plan.json", "--key", "weak", "--yes"]);
    assert!(weak.stderr.contains("RSA keys of 1024 bits are not accepted"), "{}", weak.stderr);
    // A passphrase that nobody can be asked for.
    let made = keygen(&folder, &["-q", "-t", "ed25519", "-N", "secret", "-f", "locked"], "");
    assert!(made.0, "{}", made.1);
    let locked = desk.run(1, &["approve", "plan.json", "--key", "locked", "--yes"]);
    assert!(locked.stderr.contains("failed to sign with ssh-keygen"), "{}", locked.stderr);
    // An approval for another purpose, and a certificate.
    let line = "{}\n";
    let signed = keygen(&folder, &["-q", "-Y", "sign", "-n", "git", "-f", "ed25519256"], line);
    desk.write("plan.json.approvals/git.approval", &(line.to_owned() + &signed.1));
    let listed = desk.run(0, &arguments);
    assert!(listed.stdout.contains("git.approval: no key: does not count"), "{}", listed.stdout);
}

/// An agent that ends with the test.
struct Agent(std::process::Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_key_in_an_agent_approves_by_its_public_key() {
    if !has_openssh("approvals and an agent") {
        return;
    }
    let desk = Desk::new();
    let socket = desk.path("agent");
    let agent =
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
    let _agent = Agent(agent.unwrap());
    let made = keygen(&desk.path(""), &["-q", "-t", "ed25519", "-N", "", "-f", "agents"], "");
    assert!(made.0, "{}", made.1);
    let add = || {
        let mut add = Command::new("ssh-add");
        add.args(["-q", "agents"]).current_dir(desk.path("")).env("SSH_AUTH_SOCK", &socket);
        add.stderr(Stdio::null()).status().unwrap().success()
    };
    let started = std::time::Instant::now();
    while !add() {
        assert!(started.elapsed().as_secs() < 20, "the agent did not start");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::fs::remove_file(desk.path("agents")).unwrap();
    let approve = ["approve", "plan.json", "--key", "agents.pub", "--yes"];
    let without = desk.run(1, &approve);
    assert!(without.stderr.contains("that `ssh-add -L` lists"), "{}", without.stderr);
    let signed = desk.sandbox.command(&approve).env("SSH_AUTH_SOCK", &socket).output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    let public = std::fs::read_to_string(desk.path("agents.pub")).unwrap();
    desk.write("allowed_signers", &format!("agent {public}"));
    let demand = ["--approvers", "allowed_signers", "--require-approvals", "1"];
    desk.run(0, &[&["approvals", "plan.json"], &demand[..]].concat());
}

/// A line signed as a security key does, with these flags; and the key as approvers have it.
fn by_security_key(line: &str, flags: u8) -> (String, String) {
    use ed25519_dalek::Signer;
    use sha2::{Digest, Sha256};
    use ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};
    use ssh_key::{Algorithm, HashAlg, LineEnding, PublicKey, Signature, SshSig};

    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let public = Ed25519PublicKey::from(key.verifying_key());
    let public = KeyData::SkEd25519(SkEd25519::new(public, "ssh:"));
    let namespace = "meshagent-plan";
    let message = SshSig::signed_data(namespace, HashAlg::Sha512, line.as_bytes()).unwrap();
    let trailer = [flags, 0, 0, 0, 9];
    let (application, message) = (Sha256::digest("ssh:"), Sha256::digest(message));
    let signed = key.sign(&[&application[..], &trailer, &message].concat());
    let signature = [&signed.to_bytes()[..], &trailer].concat();
    let signature = Signature::new(Algorithm::SkEd25519, signature).unwrap();
    let signature = SshSig::new(public.clone(), namespace, HashAlg::Sha512, signature).unwrap();
    let text = line.to_owned() + signature.to_pem(LineEnding::LF).unwrap().trim_end() + "\n";
    (text, PublicKey::from(public).to_openssh().unwrap())
}

#[test]
fn a_security_key_approves_if_somebody_touched_it() {
    let desk = Desk::new();
    desk.run(0, &["approve", "plan.json", "--key", "ann", "--yes", "--out", "ann.approval"]);
    let ann = std::fs::read_to_string(desk.path("ann.approval")).unwrap();
    let line = &ann[..=ann.find('\n').unwrap()];
    let demand = [
        "--approvers",
        "allowed_signers",
        "--require-approvals",
        "1",
        "--approval",
        "token.approval",
    ];
    for (flags, code, told) in
        [(1, 0, ": counts"), (5, 0, ": counts"), (0, 6, "nobody touched"), (4, 6, "nobody touched")]
    {
        let (text, public) = by_security_key(line, flags);
        desk.write("token.approval", &text);
        desk.write("allowed_signers", &format!("ann@example.com {public}\n"));
        let listed = desk.run(code, &[&["approvals", "plan.json"], &demand[..]].concat());
        assert!(listed.stdout.contains(told), "{flags}: {}", listed.stdout);
        // Flags that were not signed.
        let other = by_security_key(line, flags ^ 2).0;
        assert_ne!(text, other);
    }
    if !has_openssh("approvals of security keys and ssh-keygen") {
        return;
    }
    let (text, _) = by_security_key(line, 1);
    desk.write("signature", &text[line.len()..]);
    let verify = [
        "-Y",
        "verify",
        "-f",
        "allowed_signers",
        "-I",
        "ann@example.com",
        "-n",
        "meshagent-plan",
        "-s",
        "signature",
    ];
    let (is_valid, told) = keygen(&desk.path(""), &verify, line);
    assert!(is_valid, "{told}");
}

/// A certificate says more than a key does, and nothing of that is checked.
#[test]
fn certificates_approve_nothing() {
    if !has_openssh("approvals and certificates") {
        return;
    }
    let desk = Desk::new();
    let folder = desk.path("");
    for arguments in [
        &["-q", "-t", "ed25519", "-N", "", "-f", "authority"][..],
        &["-q", "-t", "ed25519", "-N", "", "-f", "person"],
        &["-q", "-s", "authority", "-I", "x", "-n", "ann@example.com", "person.pub"],
    ] {
        let (made, told) = keygen(&folder, arguments, "");
        assert!(made, "{told}");
    }
    let authority = std::fs::read_to_string(desk.path("authority.pub")).unwrap();
    desk.write("allowed_signers", &format!("ann@example.com cert-authority {authority}"));
    let demand = ["--approvers", "allowed_signers", "--require-approvals", "1"];
    let refused = desk.run(2, &[&["approvals", "plan.json"], &demand[..]].concat());
    assert!(
        refused.stderr.contains("allowed_signers:1:1: certificates are not accepted"),
        "{}",
        refused.stderr
    );
    let certificate = std::fs::read_to_string(desk.path("person-cert.pub")).unwrap();
    desk.write("allowed_signers", &format!("ann@example.com {certificate}"));
    let refused = desk.run(2, &[&["approvals", "plan.json"], &demand[..]].concat());
    assert!(refused.stderr.contains("allowed_signers:1:17: "), "{}", refused.stderr);
}
