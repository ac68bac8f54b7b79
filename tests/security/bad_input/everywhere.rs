//! The same nonsense on every operation.

use plinth_tests::{Kernel, on_both_databases};

use crate::operations::operations;

on_both_databases!(no_operation_fails_over_nonsense);

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
        for query in queries {
            for (kind, body) in bodies {
                let ask = owner.ask(&operation.method, &format!("{path}{query}")).body(kind, *body);
                let answer = ask.on(&mut wire).await;
                let answer = answer.unwrap_or_else(|| panic!("{} {query} {body:?} was not answered", operation.name()));
                assert!(answer.status < 500, "{} {query} {body:?}: {answer:?}\n{}", operation.name(), answer.text());
                if answer.status >= 400 {
                    answer.problem();
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "only {tried} were tried");
    assert!(!kernel.log().contains("panic"), "{}", kernel.log());
}
