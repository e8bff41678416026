/// A session description: what one side of a call says about itself. RFC 8866, in the form JSEP uses (RFC 8829).
///
/// Parsing holds to the grammar (line order, numbers, ports, times) and to the attributes that decide how media is secured and
/// reached (`fingerprint`, `setup`, `ice-ufrag`, `ice-pwd`, `mid`, `group`, directions): one that breaks its grammar or is
/// repeated rejects the whole description, so that two readers of the same text cannot disagree about it. Every other attribute
/// is kept as it came. The value is plain: change it and write it back with ``serialized()``.
public struct SessionDescription: Hashable, Sendable {
    /// `o=`: who made it, and which version of it this is.
    public var origin: SessionOrigin
    /// `s=`; often `-`.
    public var name: String
    /// `i=`
    public var information: String?
    /// `u=`
    public var uri: String?
    /// `e=`
    public var emails: [String] = []
    /// `p=`
    public var phones: [String] = []
    /// `c=` before the first section.
    public var connection: ConnectionData?
    /// `b=` before the first section.
    public var bandwidths: [Bandwidth] = []
    /// `t=` with its `r=` lines; at least one.
    public var times: [TimeDescription]
    /// `z=`, unparsed but checked.
    public var timeZones: String?
    /// `k=`; obsolete, kept only to write it back.
    public var key: String?
    /// `a=` before the first section, in order.
    public var attributes: [SessionAttribute] = []
    /// One for each `m=` line, in order.
    public var media: [MediaSection] = []

    public init(origin: SessionOrigin, name: String = "-", times: [TimeDescription] = [.permanent]) {
        self.origin = origin
        self.name = name
        self.times = times
    }
}

/// `o=<username> <sess-id> <sess-version> <nettype> <addrtype> <address>`. RFC 8866 §5.2
public struct SessionOrigin: Hashable, Sendable {
    public var username: String
    /// Decimal digits; may be longer than 64 bits.
    public var sessionID: String
    /// Decimal digits; grows by one with every new description of the session.
    public var sessionVersion: String
    public var networkType: String
    public var addressType: String
    public var address: String

    public init(
        username: String = "-",
        sessionID: String,
        sessionVersion: String,
        networkType: String = "IN",
        addressType: String = "IP4",
        address: String = "127.0.0.1"
    ) {
        self.username = username
        self.sessionID = sessionID
        self.sessionVersion = sessionVersion
        self.networkType = networkType
        self.addressType = addressType
        self.address = address
    }
}

/// `c=<nettype> <addrtype> <connection-address>`. RFC 8866 §5.7
public struct ConnectionData: Hashable, Sendable {
    public var networkType: String
    public var addressType: String
    /// The address with its `/ttl` and `/count`, if any.
    public var address: String

    public init(networkType: String = "IN", addressType: String = "IP4", address: String) {
        self.networkType = networkType
        self.addressType = addressType
        self.address = address
    }
}

/// `b=<bwtype>:<bandwidth>`. RFC 8866 §5.8
public struct Bandwidth: Hashable, Sendable {
    public var type: String
    /// Decimal digits.
    public var value: String

    public init(type: String, value: String) {
        self.type = type
        self.value = value
    }
}

/// `t=<start> <stop>` and the `r=` lines under it. RFC 8866 §5.9, §5.10
public struct TimeDescription: Hashable, Sendable {
    /// Seconds since 1900 in decimal digits; "0" is unbounded.
    public var start: String
    public var stop: String
    public var repeats: [String] = []

    public init(start: String, stop: String) {
        self.start = start
        self.stop = stop
    }

    /// `t=0 0`, the only one JSEP writes.
    public static let permanent = TimeDescription(start: "0", stop: "0")
}

/// `a=<name>` or `a=<name>:<value>`. RFC 8866 §5.13
public struct SessionAttribute: Hashable, Sendable {
    public var name: String
    /// `nil` for a flag such as `a=rtcp-mux`.
    public var value: String?

    public init(_ name: String, _ value: String? = nil) {
        self.name = name
        self.value = value
    }
}
