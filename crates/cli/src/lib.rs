//! The countersign command line.
