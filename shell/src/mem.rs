//! The four memory functions that compiled code may call and a libc would bring.
//!
//! An object of its own: with `no_builtins` the compiler may not turn these very loops into calls of themselves.
#![no_std]
#![no_builtins]
#![crate_type = "lib"]
#![allow(clippy::missing_safety_doc)] // the C standard's contracts

#[no_mangle]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    let mut i = 0;
    while i < count {
        *to.add(i) = *from.add(i);
        i += 1;
    }
    to
}

#[no_mangle]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if (to as usize) <= (from as usize) {
        return memcpy(to, from, count);
    }
    let mut i = count;
    while i > 0 {
        i -= 1;
        *to.add(i) = *from.add(i);
    }
    to
}

#[no_mangle]
pub unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    let mut i = 0;
    while i < count {
        *to.add(i) = byte as u8;
        i += 1;
    }
    to
}

#[no_mangle]
pub unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    let mut i = 0;
    while i < count {
        let (l, r) = (*left.add(i), *right.add(i));
        if l != r {
            return i32::from(l) - i32::from(r);
        }
        i += 1;
    }
    0
}

#[no_mangle]
pub unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    memcmp(left, right, count)
}
