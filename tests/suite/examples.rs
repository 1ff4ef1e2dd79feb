//! The scripts in `examples/curl/`, run as a newcomer would run them, and on trees that are not nice.
