import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import Support

/// The people and devices of the tests.
enum Cast {
    static let alice = did("alice")
    static let alicePhone = did("alice-phone")
    static let bob = did("bob")
    static let bobPhone = did("bob-phone")
    static let bobLaptop = did("bob-laptop")
    static let carol = did("carol")
    static let carolPhone = did("carol-phone")
    static let relay = did("relay")
    static let nobody = did("nobody")

    static let identities: [DID: DID] = [
        alicePhone: alice, bobPhone: bob, bobLaptop: bob, carolPhone: carol,
    ]

    static func did(_ name: String) -> DID { DID("did:example:\(name)")! }

    static func identity(of device: DID) -> DID { identities[device] ?? device }

    /// Ids in the order of their numbers.
    static func id(_ number: UInt64) -> ULID {
        var random = SeededRandom(seed: number)
        return ULID(milliseconds: 1_760_000_000_000 + number, using: &random)
    }

    static let start: Int64 = 1_760_000_000

    static func signal(
        _ type: MessageType,
        _ number: UInt64,
        from device: DID,
        to: DID? = nil,
        session: ULID? = nil,
        expiresAt: Int64? = nil,
        reason: Reason? = nil,
        status: String? = nil,
        ringTimeout: Int64? = nil,
        queueTimeout: Int64? = nil,
        answeredBy: String? = nil,
        inReplyTo: ULID? = nil,
        about: String? = nil,
        grant: ULID? = nil,
        contactToken: String? = nil,
        wantsDeliveryReport: Bool = false
    ) -> Signal {
        Signal(
            type,
            id: id(number),
            from: device,
            identity: identity(of: device),
            to: to,
            session: session,
            expiresAt: expiresAt,
            reason: reason,
            status: status,
            ringTimeout: ringTimeout,
            queueTimeout: queueTimeout,
            answeredBy: answeredBy,
            inReplyTo: inReplyTo,
            about: about,
            grant: grant,
            contactToken: contactToken,
            wantsDeliveryReport: wantsDeliveryReport
        )
    }
}

/// An endpoint and its clock, for scripts.
struct Endpoint {
    var engine: EndpointEngine
    var now = Cast.start

    init(
        _ device: DID,
        configuration: EndpointConfiguration = EndpointConfiguration(),
        contacts: ContactBook = ContactBook()
    ) {
        engine = EndpointEngine(
            device: device,
            identity: Cast.identity(of: device),
            configuration: configuration,
            contacts: contacts
        )
    }

    /// Alice has called Bob's identity through the relay.
    static func inviting(_ session: ULID, to: DID = Cast.bob) -> Endpoint {
        var endpoint = Endpoint(Cast.alicePhone)
        _ = endpoint.does(.placeCall(session: session, to: to, relay: Cast.relay))
        return endpoint
    }

    /// Bob's phone rings.
    static func proceeding(_ session: ULID) -> Endpoint {
        var endpoint = inviting(session)
        _ = endpoint.receives(
            Cast.signal(.progress, 900, from: Cast.bobPhone, session: session, status: "ringing")
        )
        return endpoint
    }

    /// Bob's phone has answered Alice.
    static func active(_ session: ULID) -> Endpoint {
        var endpoint = proceeding(session)
        _ = endpoint.receives(
            Cast.signal(.answer, 901, from: Cast.bobPhone, session: session, answeredBy: "user")
        )
        return endpoint
    }

    /// Alice's invite has reached Bob's phone.
    static func offered(_ number: UInt64) -> Endpoint {
        var endpoint = Endpoint(Cast.bobPhone)
        _ = endpoint.receives(
            Cast.signal(.invite, number, from: Cast.alicePhone, to: Cast.bob, expiresAt: Cast.start + 30)
        )
        return endpoint
    }

    static func alerting(_ number: UInt64) -> Endpoint {
        var endpoint = offered(number)
        _ = endpoint.does(.alert(session: Cast.id(number)))
        return endpoint
    }

    /// Bob's phone has answered.
    static func answered(_ number: UInt64) -> Endpoint {
        var endpoint = alerting(number)
        _ = endpoint.does(.accept(session: Cast.id(number)))
        return endpoint
    }

    mutating func does(_ event: EndpointEvent) -> [EndpointAction] { engine.handle(event, at: now) }
    mutating func receives(_ signal: Signal) -> [EndpointAction] { engine.handle(.received(signal), at: now) }

    mutating func waits(_ seconds: Int64) -> [EndpointAction] {
        now += seconds
        return engine.advance(to: now)
    }

    func state(_ session: ULID) -> SessionSnapshot.State? { engine.session(session)?.state }
}

/// Short forms of actions, for expectations.
func sends(
    _ type: MessageType,
    _ to: DID,
    _ session: ULID?,
    _ reason: Reason? = nil,
    inReplyTo: ULID? = nil
) -> EndpointAction {
    .send(Outbound(type, to: to, session: session, reason: reason, inReplyTo: inReplyTo))
}

/// The answer every table's last row gives.
func invalidState(_ signal: Signal) -> [EndpointAction] {
    [sends(.error, signal.from, signal.session, .sessionInvalidState, inReplyTo: signal.id)]
}
