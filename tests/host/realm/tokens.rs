// SPDX-License-Identifier: BSD-3-Clause
//! The token of a REC, call by call. Random calls are compared with a model of its states, and
//! independent software verifies each token.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use fastrand::Rng;
use kit::calls::{call, registers};
use kit::realm_fixture::*;
use kit::rmi::fixture::SUCCESS;
use kit::seed;
use kit::system::preset_attestation;
use rmm::abi::rsi::{function as rsi, status};
use rmm::attest::key::RealmKey;
use rmm::attest::platform::Platform;
use rmm::host::interrupt_fibers;
use rmm::rmi::{Dialect, function};
use verifier::verify;

use crate::calls::{EMPTY, MEMORY, RAM, UNASSIGNED_RAM, aborts, answers, realm};

const PAGE: u64 = 0x1000;
const UNPROTECTED: u64 = 1 << 39;

/// The platform token of the test EL3, and the Realm key that it is bound to.
const TOKEN: &[u8] =
    include_bytes!("../../qemu/firmware/src/el3/rmmd_services/platform_token.cbor");
const KEY: [u8; 48] = [
    0x20, 0x11, 0xc7, 0xf0, 0x3c, 0xee, 0x43, 0x25, 0x17, 0x6e, 0x52, 0x4f, 0x03, 0x3c, 0x0c, 0xe1,
    0xe2, 0x1a, 0x76, 0xe6, 0xc1, 0xa4, 0xf0, 0xb8, 0x39, 0xaa, 0x1d, 0xf6, 0x1e, 0x0e, 0x8a, 0x5c,
    0x8a, 0x05, 0x74, 0x0f, 0x9b, 0x69, 0xef, 0xa7, 0xeb, 0x1a, 0x41, 0x85, 0xbd, 0x11, 0x7f, 0x68,
];

static PLATFORM: LazyLock<Platform> = LazyLock::new(|| {
    let key = RealmKey::new(&KEY).expect("a key");
    Platform::new(key, Dialect::V1_0, TOKEN).expect("its public half")
});

/// The public half of the key that signs the platform token. The key is not secret.
fn platform_key() -> Vec<u8> {
    let public = RealmKey::new(&[0x17; 48]).expect("a key").public().expect("its public half");
    let key = public.cose_key();
    [&[4][..], &key[8..56], &key[59..]].concat()
}

/// The claims that a token must have: its challenge, and the measurements when INIT was called.
#[derive(Clone, Debug)]
struct Claims {
    challenge: [u64; 8],
    extensible: [u64; 4],
}

/// The state of a token.
#[derive(Clone, Debug)]
enum Token {
    None,
    Signing(Claims),
    Ready(Claims, Vec<u8>),
}

/// A REC and the model of what its next calls answer.
struct Model {
    fixture: RealmFixture,
    token: Token,
    /// The number of extensions of each measurement.
    extended: [u64; 4],
}

/// The words of REM `index` after this many extensions, as the RMM reports them.
fn measured(fixture: &RealmFixture, index: usize) -> Vec<u8> {
    let x = [u64::from(rsi::MEASUREMENT_READ), index as u64 + 1];
    let after = call(fixture, REC, registers(&x)).expect("it is answered");
    after[1..5].iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn continuing(page: u64, offset: u64, size: u64) -> [u64; 4] {
    [u64::from(rsi::ATTESTATION_TOKEN_CONTINUE), page, offset, size]
}

impl Model {
    fn new() -> Self {
        preset_attestation(&PLATFORM);
        Self { fixture: realm(0), token: Token::None, extended: [0; 4] }
    }

    fn answers(&self, x: &[u64], status: u64, x1: u64) {
        answers(&self.fixture, x, &[status, x1, 0, 0]);
    }

    fn init(&mut self, challenge: [u64; 8]) {
        let x = [&[u64::from(rsi::ATTESTATION_TOKEN_INIT)], &challenge[..]].concat();
        self.answers(&x, status::SUCCESS, PAGE);
        self.token = Token::Signing(Claims { challenge, extensible: self.extended });
    }

    fn extend(&mut self, index: usize) {
        // Always the same value, so the count determines the measurement.
        let x = [u64::from(rsi::MEASUREMENT_EXTEND), index as u64 + 1, 0];
        self.answers(&x, status::SUCCESS, 0);
        self.extended[index] += 1;
    }

    /// Calls with arguments that are wrong in every state.
    fn wrong(&self, random: &mut Rng) {
        let [page, offset, size] = [
            [RAM + 8, 0, 8],
            [UNPROTECTED, 0, 8],
            [RAM, PAGE, 0],
            [RAM, 1, PAGE],
            [RAM, 8, u64::MAX],
        ][random.usize(..5)];
        self.answers(&continuing(page, offset, size), status::ERROR_INPUT, 0);
    }

    /// Calls CONTINUE with a page that is mapped, or not.
    fn proceed(&mut self, random: &mut Rng) -> Option<(Claims, Vec<u8>)> {
        let page = [RAM, RAM, RAM, RAM, EMPTY, UNASSIGNED_RAM][random.usize(..6)];
        let offset = random.u64(..PAGE);
        let size = [0, 1, random.u64(..512), PAGE][random.usize(..4)].min(PAGE - offset);
        let x = continuing(page, offset, size);
        match self.token.clone() {
            Token::None => self.answers(&x, status::ERROR_STATE, 0),
            Token::Signing(claims) => {
                let interrupted = random.bool();
                interrupt_fibers(usize::from(interrupted));
                // The page is not accessed.
                self.answers(&x, status::INCOMPLETE, 0);
                if !interrupted {
                    self.token = Token::Ready(claims, Vec::new());
                }
            }
            Token::Ready(..) if page == EMPTY => self.answers(&x, status::ERROR_INPUT, 0),
            Token::Ready(..) if page == UNASSIGNED_RAM => aborts(&self.fixture, &x, page, 3),
            Token::Ready(claims, mut bytes) => {
                let memory = &self.fixture.system.machine.memory;
                memory.fill_granule(MEMORY[0], u64::MAX);
                let after = call(&self.fixture, REC, registers(&x)).expect("it is answered");
                let count = after[1];
                let is_last = after[0] == status::SUCCESS;
                let expected = registers(&[&[after[0], count, 0, 0][..]].concat());
                assert_eq!(after[4..], expected[4..], "registers that are no outputs");
                assert!(is_last || (after[0], count) == (status::INCOMPLETE, size), "{after:x?}");
                assert!(count <= size);
                let page: Vec<u8> = (0..512)
                    .flat_map(|word| {
                        let word = memory.word(MEMORY[0] + 8 * word).expect("memory");
                        word.load(Ordering::Relaxed).to_le_bytes()
                    })
                    .collect();
                let range = offset as usize..(offset + count) as usize;
                bytes.extend_from_slice(&page[range.clone()]);
                let mut others = (0..4096).filter(|at| !range.contains(at));
                assert!(others.all(|at| page[at] == 0xff), "bytes beside them are the Realm's");
                if is_last {
                    self.token = Token::None;
                    return Some((claims, bytes));
                }
                self.token = Token::Ready(claims, bytes);
            }
        }
        None
    }
}

#[test]
fn random_calls_for_tokens_are_answered_as_their_states_say() {
    let mut random = seed::generator("random_calls_for_tokens");
    let mut model = Model::new();
    let key = platform_key();
    // The value of a measurement after each number of extensions by an empty value.
    let mut chain = vec![vec![0; 32]];
    let mut verified = 0;
    while verified < 12 {
        match random.u32(..40) {
            0 => model.init([random.u64(..); 8]),
            1 if matches!(model.token, Token::None) => model.init([random.u64(..); 8]),
            2 => {
                let index = random.usize(..4);
                model.extend(index);
                let count = model.extended[index] as usize;
                if chain.len() == count {
                    chain.push(measured(&model.fixture, index));
                }
                assert_eq!(chain[count], measured(&model.fixture, index));
            }
            3 => model.wrong(&mut random),
            _ => {
                let Some((claims, bytes)) = model.proceed(&mut random) else { continue };
                let token = verify(&bytes, &key).expect("it is signed");
                let challenge: Vec<u8> =
                    claims.challenge.iter().flat_map(|word| word.to_le_bytes()).collect();
                assert_eq!(token.challenge, challenge);
                for (value, count) in token.extensible.iter().zip(claims.extensible) {
                    assert_eq!(value, &chain[count as usize]);
                }
                verified += 1;
            }
        }
    }
}

#[test]
fn without_a_key_there_is_no_token() {
    let fixture = realm(0);
    let mut init = [7; 9];
    init[0] = u64::from(rsi::ATTESTATION_TOKEN_INIT);
    for _ in 0..2 {
        answers(&fixture, &init, &[status::ERROR_UNKNOWN, 0, 0, 0]);
        for page in [RAM, EMPTY, UNASSIGNED_RAM] {
            answers(&fixture, &continuing(page, 0, 8), &[status::ERROR_STATE, 0, 0, 0]);
        }
        answers(&fixture, &continuing(RAM, PAGE, 8), &[status::ERROR_INPUT, 0, 0, 0]);
    }
}

#[test]
fn a_rec_that_goes_in_the_midst_of_a_token_leaves_nothing() {
    for interrupts in [0, 1] {
        let mut model = Model::new();
        model.init([3; 8]);
        interrupt_fibers(interrupts);
        model.answers(&continuing(RAM, 0, 8), status::INCOMPLETE, 0);
        let Model { fixture, .. } = model;
        assert_eq!(fixture.call(function::REC_DESTROY, &[REC]), SUCCESS);
        for granule in auxiliary(AUX).into_iter().chain([REC]) {
            assert!(fixture.system.machine.memory.granule_is(granule, 0), "{granule:#x}");
        }
        interrupt_fibers(0);
    }
}
