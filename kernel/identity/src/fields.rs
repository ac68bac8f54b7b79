//! Rules for what people type: names, slugs, addresses. Each rule says what is wrong and what would be right.

use plinth_core::FieldError;

/// Gathers what is wrong with a request, so that the caller learns all of it at once.
#[derive(Debug, Default)]
pub struct Checks(Vec<FieldError>);

impl Checks {
    pub fn name(&mut self, pointer: &str, name: &str) -> &mut Self {
        let length = name.trim().chars().count();
        if !(1..=120).contains(&length) || name.chars().any(char::is_control) {
            self.refuse(pointer, "invalid_name", "1 to 120 characters, without control characters");
        }
        self
    }

    pub fn text(&mut self, pointer: &str, text: &str, most: usize) -> &mut Self {
        let length = text.trim().chars().count();
        if !(1..=most).contains(&length) {
            self.refuse(pointer, "invalid_length", format!("1 to {most} characters"));
        }
        self
    }

    pub fn slug(&mut self, pointer: &str, slug: &str) -> &mut Self {
        let letters = slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !(3..=40).contains(&slug.len())
            || !letters
            || slug.starts_with('-')
            || slug.ends_with('-')
            || slug.contains("--")
        {
            self.refuse(pointer, "invalid_slug", "3 to 40 lower-case letters, digits and single dashes between them");
        }
        self
    }

    pub fn email(&mut self, pointer: &str, email: &str) -> &mut Self {
        if !is_email(email.trim()) {
            self.refuse(pointer, "invalid_email", "an address such as ada@example.com");
        }
        self
    }

    /// A BCP 47 tag in its common form: language, and perhaps script and region.
    pub fn locale(&mut self, pointer: &str, locale: &str) -> &mut Self {
        let mut parts = locale.split('-');
        let language = parts
            .next()
            .is_some_and(|part| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase()));
        let rest =
            parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if !language || !rest {
            self.refuse(pointer, "invalid_locale", "a language tag such as en or de-AT");
        }
        self
    }

    pub fn refuse(&mut self, pointer: &str, code: &str, message: impl Into<String>) -> &mut Self {
        self.0.push(FieldError::new(pointer, code, message));
        self
    }

    /// Everything that was refused, if anything was.
    pub fn done(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Addresses are compared without regard to case: two people whose addresses differ in case only are one.
pub fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

fn is_email(email: &str) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else { return false };
    let visible = |text: &str| text.chars().all(|char| !char.is_whitespace() && !char.is_control());
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    email.len() <= 254
        && (1..=64).contains(&local.len())
        && visible(email)
        && !local.contains(['@', ',', ';', '<', '>', '"', '(', ')'])
        && domain.contains('.')
        && domain.split('.').all(label)
        && domain.chars().all(|char| char.is_alphanumeric() || char == '-' || char == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["a@b.co", "ada.lovelace+x@mail.example.com", "zoë@bücher.example"] {
            assert!(is_email(good), "{good}");
        }
        for bad in
            ["", "a", "a@b", "a@b.", "@b.co", "a b@c.de", "a@b..co", "a@-b.co", "a@b.co\r\nBcc: x@y.zz", "a,b@c.de"]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn every_mistake_is_told() {
        let mut checks = Checks::default();
        checks
            .name("/name", " ")
            .slug("/slug", "A")
            .slug("/slug", "a--b")
            .email("/email", "x")
            .locale("/locale", "xx_YY");
        let errors = checks.done().expect_err("refused");
        assert_eq!(errors.len(), 5);
        let mut fine = Checks::default();
        fine.name("/name", "Ada").slug("/slug", "ada-1").locale("/locale", "zh-Hant-TW");
        assert!(fine.done().is_ok());
    }
}
