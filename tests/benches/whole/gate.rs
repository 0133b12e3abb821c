//! A gate: time from a camera frame to the verdict on its sign, including the durable record.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use code_reader::{Decoder, LumaFrame};
use contract::{
    Bilingual, ChangesAnswer, CodeRules, FeedItem, GateRules, IssuerKey, IssuerKeys, Revocations, SecretKey,
    SignedStatement, SiteProfile, UnixMs,
};
use emulator::camera::{PhoneScreen, render_frame};
use engine::{
    CacheSnapshot, Engine, EngineConfig, EngineInput, ExchangeTiming, InputEvent, JournalOpener, Output,
    UplinkAnswer, UplinkRequest,
};
use journal::{JournalLimits, RealDisk};
use resident_code::{Alias, Capabilities, CodeIssuer, SessionCertificate, SessionTerms};
use session::{DeviceKind, DeviceState, Equipment, Event, KioskSetup, MonotonicMs, Now, TimeLimits};
use view::{Body, Light, Texts};

use super::report_percentiles;

const NOW: u64 = 1_795_000_000_000;
const DAY: u64 = 86_400_000;
const PEOPLE: u16 = 300;

fn key(byte: u8) -> Result<SecretKey> {
    Ok(SecretKey::from_bytes(&[byte; 32])?)
}

fn feed() -> Result<Vec<FeedItem>> {
    let (not_before, not_after, city) = (UnixMs(0), UnixMs(NOW + 30 * DAY), "YK".to_owned());
    let issuers = vec![IssuerKey { id: 1, key: key(3)?.public(), not_before, not_after }];
    let revoker = key(2)?.public();
    let list = IssuerKeys { city: city.clone(), version: 1, not_before, not_after, revoker, issuers };
    let delta = Revocations { city, since: 0, until: 0, expires: UnixMs(NOW + DAY), revoked: Vec::new() };
    Ok(vec![
        FeedItem::IssuerKeys { list: SignedStatement::sign(&list, &key(1)?) },
        FeedItem::Revocations { delta: SignedStatement::sign(&delta, &key(2)?) },
    ])
}

fn setup() -> Result<KioskSetup> {
    let hall = Bilingual { zh: "东门".into(), en: "East Gate".into() };
    let (root_key, city) = (key(1)?.public(), "YK".to_owned());
    Ok(KioskSetup {
        kiosk: "K-GT-0001".parse()?,
        profile: SiteProfile::Gate,
        hall,
        utc_offset_minutes: 480,
        receipt_url: String::new(),
        equipment: Equipment { code_reader: true, ..Equipment::default() },
        code_rules: Some(CodeRules { root_key, city, past_s: 15, ahead_s: 15, unsynced_hours: 72 }),
        gate_rules: Some(GateRules::default()),
        time_limits: TimeLimits::default(),
        staff_keys: Vec::new(),
        texts: Arc::new(Texts::built_in()),
    })
}

/// The current offline code of one of many phones.
fn code(person: u16) -> Result<String> {
    let [high, low] = person.to_be_bytes();
    let session = SecretKey::from_bytes(&[0x22; 32])?;
    let terms = SessionTerms {
        capabilities: Capabilities(1),
        alias: Alias([7, 7, 7, 7, 7, 7, high, low]),
        issued_at: u32::try_from(NOW / 1000)? - 3600,
        lifetime_quarters: 96,
        session_key: session.public(),
    };
    let issuer = CodeIssuer::new(1, SecretKey::from_bytes(&[3; 32])?);
    let certificate = SessionCertificate::issue(&terms, &issuer)?;
    Ok(certificate.present(&session, u32::try_from(NOW / 1000)?)?.to_text())
}

/// Measures the verdicts on many persons in turn, each with a separate code, at a gate without a link.
pub(super) fn verdicts(directory: &Path) -> Result<()> {
    let directory = directory.to_owned();
    std::fs::create_dir_all(&directory)?;
    let config = EngineConfig {
        setup: Arc::new(setup()?),
        journal: JournalOpener {
            disk: Box::new(move || RealDisk::open(&directory)),
            wrap_key: [9; 16].into(),
            software: "bench".into(),
            configuration: "00".into(),
            limits: JournalLimits::new(u64::MAX),
        },
        device_key: Arc::new(key(7)?),
        catalogue_key: key(8)?.public(),
        cached: CacheSnapshot::default(),
    };
    let at = Now { mono: MonotonicMs(0), wall: UnixMs(NOW) };
    let (mut engine, out) = Engine::start(config, at, 1);
    let asked = out.iter().any(|out| matches!(out, Output::Send(UplinkRequest::Changes { .. })));
    ensure!(asked, "the engine did not request the feed at its start");
    let exchange = ExchangeTiming { sent: UnixMs(NOW), received: UnixMs(NOW) };
    let answer = ChangesAnswer { items: feed()?, cursor: 2, feed: None, now: UnixMs(NOW) };
    let what = InputEvent::Uplink(UplinkAnswer::Changes(exchange, Ok(answer)));
    engine.turn(EngineInput { at, entropy: 2, event: what });
    let what = InputEvent::Kiosk(Event::DeviceStateChanged(DeviceKind::CodeReader, DeviceState::Ready));
    engine.turn(EngineInput { at, entropy: 3, event: what });

    let (mut verdict, mut total) = (Vec::new(), Vec::new());
    for person in 0..PEOPLE {
        let picture = camera_frame(&code(person)?, person)?;
        let begun = Instant::now();
        let look = Decoder::new().decode(&picture, begun + Duration::from_secs(1));
        let read = look.codes.into_iter().next().context("no code was decoded from the frame")?;
        let decoded = Instant::now();
        let what = InputEvent::Kiosk(Event::CodeScanned(read.into()));
        let out = engine.turn(EngineInput { at, entropy: 10 + u128::from(person), event: what });
        verdict.push(decoded.elapsed());
        total.push(begun.elapsed());
        let go = out.iter().any(|out| match out {
            Output::Show(view) => matches!(&view.body, Body::Sign(sign) if sign.light == Light::Go),
            Output::Effect(_) | Output::Send(_) | Output::Reconcile | Output::Cache(_) => false,
        });
        // The engine shows a sign only when it changes, so that only the first verdict produces a view.
        ensure!(go || person > 0, "the gate refused a valid code");
    }
    report_percentiles("gate: code → verdict, durable", verdict)?;
    report_percentiles("gate: camera frame (1280×720) → verdict, durable", total)
}

fn camera_frame(text: &str, phase: u16) -> Result<LumaFrame> {
    let screen = PhoneScreen::from_text(text).context("the text is too long for a QR code")?;
    let picture = render_frame(Some(&screen), phase.into());
    let (width, height) = picture.dimensions();
    LumaFrame::new(width, height, picture.into_raw()).context("the picture is not a valid frame")
}
