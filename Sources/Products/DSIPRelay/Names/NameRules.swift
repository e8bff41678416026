/// Which names can be registered: `^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`, 2 to 32 characters, no two separators in a row.
///
/// Letters beyond ASCII are left out on purpose: one person's name must not look like another's.
enum NameRules {
    /// - Returns: nil when `name` may be registered, else a sentence that says why not.
    static func fault(_ name: String, reserved: Set<String>) -> String? {
        let bytes = Array(name.utf8)
        guard (2...32).contains(bytes.count) else { return "A name has 2 to 32 characters." }
        guard bytes.allSatisfy({ isLetterOrDigit($0) || isSeparator($0) }) else {
            return "A name is made of lower-case letters a to z, digits, dots, hyphens and underscores."
        }
        guard isLetterOrDigit(bytes[0]), isLetterOrDigit(bytes[bytes.count - 1]) else {
            return "A name begins and ends with a letter or digit."
        }
        for (a, b) in zip(bytes, bytes.dropFirst()) where isSeparator(a) && isSeparator(b) {
            return "A name has no two dots, hyphens or underscores in a row."
        }
        let bare = String(decoding: bytes.filter { !isSeparator($0) }, as: UTF8.self)
        guard !builtIn.contains(bare), !reserved.contains(name) else { return "This name is reserved." }
        return nil
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isSeparator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }

    /// Roles that people take for the operator (RFC 2142, and what browsers and mail providers reserve), and names of services.
    private static let builtIn: Set<String> = [
        "abuse", "account", "accounts", "admin", "administrator", "anonymous", "api", "billing", "ca", "contact",
        "daemon",
        "dns", "dsip", "emergency", "everyone", "ftp", "guest", "help", "helpdesk", "host", "hostmaster", "info",
        "legal",
        "localhost", "mail", "mailerdaemon", "marketing", "me", "moderator", "news", "nobody", "noc", "noreply", "null",
        "official", "operator", "owner", "police", "postmaster", "privacy", "relay", "root", "sales", "security",
        "service", "ssladmin", "ssladministrator", "sslwebmaster", "staff", "status", "support", "sysadmin", "system",
        "team", "test", "undefined", "user", "users", "usenet", "uucp", "webmaster", "wellknown", "www",
    ]
}
