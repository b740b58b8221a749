//! Files and lists of other servers: what is for the server that was asked goes to no other.

use super::*;

const TOKEN: &str = "CANARY-TOKEN";

fn web() -> Web {
    Web::new(&StoreOptions::default(), IDLE).unwrap().pausing(|_| {})
}

fn url(server: &Server, path: &str) -> url::Url {
    format!("http://{}{path}", server.host).parse().unwrap()
}

#[test]
fn the_next_page_is_the_asked_servers_own_though_another_one_answered() {
    let other = Server::start(|_, _| Reply::new(200).with("link", "</page2>; rel=\"next\""));
    let elsewhere = url(&other, "/page1").to_string();
    let hub = Server::start(move |seen, _| match seen.target.as_str() {
        "/away" => Reply::new(302).with("location", elsewhere.clone()),
        "/moved" => Reply::new(302).with("location", "/list"),
        _ => Reply::new(200).with("link", "</list2>; rel=\"next\""),
    });
    let bearer = Bearer::new(TOKEN);
    let next = |path: &str| {
        let asked = url(&hub, path);
        let (_, next, _) = web().document(&Ask::get(&asked, "*/*", 100).bearing(bearer.as_ref()))?;
        Ok::<_, StoreError>(next)
    };
    assert_eq!(next("/moved").unwrap(), Some(url(&hub, "/list2")));
    let error = next("/away").unwrap_err();
    assert!(error.to_string().ends_with("the next page is on another host"), "{error}");
    assert!(other.log().iter().all(|seen| seen.header("authorization").is_none()), "{:?}", other.log());
}

#[test]
fn a_token_that_a_server_repeats_is_in_no_words() {
    let server = Server::start(|seen, _| Reply::new(403).body(format!("you sent {:?}", seen.header("authorization"))));
    let (url, bearer) = (url(&server, "/"), Bearer::new(TOKEN));
    let ask = Ask::get(&url, "*/*", 100).bearing(bearer.as_ref());
    let words = String::from_utf8(web().open(&ask).unwrap().into_words(&ask)).unwrap();
    assert!(words.contains("Bearer ***") && !words.contains(TOKEN), "{words}");
}

#[test]
fn what_is_for_one_address_goes_to_no_other_also_where_a_redirect_leads_back() {
    let hosts: Arc<Mutex<Vec<String>>> = Arc::default();
    let known = Arc::clone(&hosts);
    let store = Server::start(move |_, _| Reply::new(302).with("location", format!("http://{}/back", known.lock().unwrap()[0])));
    let away = url(&store, "/blob").to_string();
    let hub =
        Server::start(move |seen, _| if seen.target == "/back" { Reply::new(200) } else { Reply::new(302).with("location", away.clone()) });
    hosts.lock().unwrap().push(hub.host.clone());
    let (asked, bearer) = (url(&hub, "/file"), Bearer::new(TOKEN));
    let ask = Ask::get(&asked, "*/*", 100).bearing(bearer.as_ref()).with_private("x-amz-security-token", "CANARY").unwrap();
    assert_eq!(web().open(&ask).unwrap().status(), 200);
    let told: Vec<bool> = [hub.log(), store.log()].concat().iter().map(|seen| format!("{seen:?}").contains("CANARY")).collect();
    assert_eq!(told, [true, false, false], "the file, back, and the blob");
}
