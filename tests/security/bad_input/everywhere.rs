//! The same nonsense on every operation.

use plinth_tests::{Kernel, on_both_databases};

use crate::operations::operations;

on_both_databases!(no_operation_fails_over_nonsense, no_query_parameter_fails_over_nonsense);

async fn no_operation_fails_over_nonsense(kernel: Kernel) {
    let owner = kernel.owner().await;
    let bodies: &[(&str, &[u8])] = &[
        ("application/json", b""),
        ("application/json", b"{}"),
        ("application/json", b"[]"),
        ("application/json", b"null"),
        ("application/json", b"{\"\":null,\"__proto__\":{}}"),
        ("application/json", b"{\"a\":\"\xc3\x28\"}"),
        ("text/plain", b"hello"),
    ];
    let queries =
        ["", "?limit=%00&sort=%ff&after=%f0%28&ids=%27&fields=,,,&q=%25%5f%5c", "?a=b&a=c&dry_run=perhaps", "?&&==&%"];
    let mut tried = 0;
    for operation in operations(&kernel).await {
        if operation.signs_out() {
            continue;
        }
        let path = operation.of_nothing();
        let mut wire = kernel.wire().await;
        let bodies_alone = bodies.iter().map(|(kind, body)| ("", *kind, *body));
        let queries_alone = queries.iter().map(|query| (*query, "application/json", &b"{}"[..]));
        for (query, kind, body) in bodies_alone.chain(queries_alone) {
            let ask = owner.ask(&operation.method, &format!("{path}{query}")).body(kind, body);
            let answer = ask.on(&mut wire).await;
            let answer = answer.unwrap_or_else(|| panic!("{} {query} {body:?} was not answered", operation.name()));
            assert!(answer.status < 500, "{} {query} {body:?}: {answer:?}\n{}", operation.name(), answer.text());
            if answer.status >= 400 {
                answer.problem();
            }
            tried += 1;
        }
    }
    assert!(tried > 500, "only {tried} were tried");
    assert!(!kernel.log().contains("panic"), "{}", kernel.log());
}

async fn no_query_parameter_fails_over_nonsense(kernel: Kernel) {
    let operator = kernel.operator().await;
    let long = "x".repeat(3_000);
    let values = ["%00", "a%00b", "%ff", "%27", "%25%5f%5c", "-1", "99999999999999999999", "1e9", "null", &long];
    let (mut tried, mut failed) = (0, Vec::new());
    for operation in operations(&kernel).await {
        let own_tenant = operator.tenant().to_string();
        let path = operation.filled(|_, prefix| match prefix {
            Some("ten") => own_tenant.clone(),
            prefix => format!("{}_01jd3v7k2qf5e8m0s4w6y9b1c3", prefix.unwrap_or("rol")),
        });
        let mut wire = kernel.wire().await;
        for (name, value) in operation.queries.iter().flat_map(|name| values.map(|value| (name, value))) {
            let ask = operator.ask(&operation.method, &format!("{path}?{name}={value}"));
            let answer = ask.on(&mut wire).await.expect("the connection stays usable");
            if answer.status >= 500 {
                failed.push(format!(
                    "{} {name}={} → {}",
                    operation.name(),
                    &value[..value.len().min(30)],
                    answer.status
                ));
            }
            tried += 1;
        }
    }
    assert!(tried > 300, "only {tried} were tried");
    assert!(failed.is_empty(), "{failed:#?}");
}
