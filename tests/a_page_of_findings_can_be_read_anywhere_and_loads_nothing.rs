//! The page of a scan and that of a doctor in a real browser: on a phone's screen and on a wide one, in light and in dark,
//! on paper. Nothing sticks out at the side, every word stands out from what is behind it, nothing is asked for, and the
//! browser has nothing to complain of. A script that got in would not run.

use std::path::{Path, PathBuf};

use crate::harness::{
    Account, Aside, Browser, Forge, Install, Living, Pgseal, Port, Sandbox, TlsServer, record,
};

/// WCAG 2.1, success criterion 1.4.3: 4.5, and 3 for large text.
const OUT_OF_SIGHT: &str = "
(() => {
  const channel = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  let seen = 0;
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own) continue;
    seen += 1;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5) || size < 11) faint.push([element.outerHTML.slice(0, 80), ratio, size]);
  }
  return seen > 10 ? faint : 'hardly a word on the page';
})()";

/// How far the page and its elements reach beyond the screen's side.
const STICKS_OUT: &str = "
(() => {
  const width = document.documentElement.clientWidth;
  const far = [...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > width + 0.5);
  const whole = document.documentElement.scrollWidth > width ? ['the page'] : [];
  return whole.concat(far.map(e => e.outerHTML.slice(0, 80)));
})()";

/// What stands behind the words.
const PAPER: &str = "getComputedStyle(document.body).backgroundColor";

#[track_caller]
fn can_be_read(browser: &mut Browser, page: &Path, title: &str) {
    let nothing = Aside { said: Vec::new(), asked_for: Vec::new() };
    for (width, dark) in [(390, false), (390, true), (1280, false), (1280, true)] {
        browser.screen(width, dark);
        assert_eq!(browser.open(page), nothing, "at {width}");
        assert_eq!(browser.value("innerWidth"), width);
        assert_eq!(browser.value("document.title"), title);
        assert_eq!(browser.value(STICKS_OUT), serde_json::json!([]), "at {width}");
        assert_eq!(browser.value(OUT_OF_SIGHT), serde_json::json!([]), "at {width}, dark: {dark}");
        let colour = if dark { "rgb(13, 17, 23)" } else { "rgb(255, 255, 255)" };
        assert_eq!(browser.value(PAPER), colour);
        record("a page of findings can be read anywhere and loads nothing", 1);
    }
    browser.paper();
    assert_eq!(browser.value(PAPER), "rgb(255, 255, 255)");
    assert_eq!(browser.value(OUT_OF_SIGHT), serde_json::json!([]), "on paper");
    runs_nothing(browser);
}

/// What got in all the same would be stopped by the page's own policy.
#[track_caller]
fn runs_nothing(browser: &mut Browser) {
    browser.value(
        "window.ran = false; const s = document.createElement('script'); s.textContent = 'window.ran = true'; \
         document.body.append(s); \
         document.body.insertAdjacentHTML('beforeend', '<b onclick=\"window.ran = true\" id=\"pressed\">x</b>'); \
         document.getElementById('pressed').click(); true",
    );
    assert_eq!(browser.value("window.ran"), false);
}

fn page(sandbox: &Sandbox, name: &str, document: &str) -> PathBuf {
    sandbox.file_of(&Account::current(), name, 0o644, document)
}

#[test]
fn of_a_scan() {
    let sandbox = Sandbox::new();
    let mut browser = Browser::start();
    let long = format!("{}.example.org", "averylongname".repeat(4));
    let ours = Forge::new("the scanned server's");
    let server = TlsServer::showing(&Install::of(15), &ours.leaf(&[&long]), |setup| setup);
    let one = server.scan(&["--fail-on", "never", "--format", "html"]).succeeded();
    let title = format!("pgseal scan: localhost:{}", server.port());
    can_be_read(&mut browser, &page(&sandbox, "one.html", one.stdout()), &title);

    let nobody = Port::free();
    let words = [
        format!("localhost:{}", server.port()),
        format!("127.0.0.1:{}", nobody.number()),
        format!("{long}:5432"),
    ];
    let fleet = Pgseal::new(&sandbox)
        .arg("scan")
        .args(words)
        .args(["--quick", "--timeout", "20s", "--fail-on", "never", "--format", "html"])
        .run()
        .ended(3);
    let file = page(&sandbox, "fleet.html", fleet.stdout());
    can_be_read(&mut browser, &file, "pgseal scan: 3 servers");
    // The overview leads to each of them.
    browser.open(&file);
    let led = "[...document.querySelectorAll('a')].every(a => document.querySelector(a.getAttribute('href'))) && document.links.length";
    assert_eq!(browser.value(led), 3);
}

#[test]
fn of_a_doctor() {
    let living = Living::of(18);
    let ran = living.verb("doctor", &["--format", "html"], &Account::current()).run().ended(1);
    let sandbox = Sandbox::new();
    let file = page(&sandbox, "doctor.html", ran.stdout());
    let title = format!("pgseal doctor: {}", living.target().display());
    can_be_read(&mut Browser::start(), &file, &title);
}
