//! smsfleet
