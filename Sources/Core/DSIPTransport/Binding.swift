/// The constants of the `ws/1.0` binding (DSIP §13.2).
public enum Binding {
    public static let identifier = "ws/1.0"
    /// Largest envelope, in bytes of UTF-8 text. Fixed by the binding, never negotiated.
    public static let maximumEnvelopeBytes = 65_536
    /// Path this implementation serves; a client dials whatever path a document advertises.
    public static let defaultPath = "/dsip"
    /// How long an opened connection may go without a verified `hello`.
    public static let helloTimeout: Duration = .seconds(10)
    /// How long TCP, TLS and the upgrade may take together.
    public static let connectTimeout: Duration = .seconds(10)
}
