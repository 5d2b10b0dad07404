//! TLS 1.3 over aws-lc-rs, and who is let through.
