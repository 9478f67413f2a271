//! What is stored of a secret that is only compared: its SHA-256, in base64url. Every such secret
//! has 256 random bits, so no slower hash is needed against guessing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The digest of a secret. It is also how a verifier becomes its challenge (PKCE, S256).
pub fn of(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret))
}

/// Whether a secret has this digest, in constant time for all that do not.
pub fn fits(secret: &str, digest: &str) -> bool {
    of(secret).as_bytes().ct_eq(digest.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_fits_its_secret_alone() {
        // The example of RFC 7636, appendix B.
        let digest = of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(digest, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(fits("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", &digest));
        for other in ["", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK", &digest] {
            assert!(!fits(other, &digest), "{other}");
        }
        assert!(!fits("a", "") && !fits("", ""));
    }
}
