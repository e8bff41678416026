// The tie between each body type and its case, one block a type.

extension Invite: CodableBody {
    public static var type: MessageType { .invite }
    public init?(_ body: Message.Body) {
        guard case .invite(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .invite(self) }
}

extension Progress: CodableBody {
    public static var type: MessageType { .progress }
    public init?(_ body: Message.Body) {
        guard case .progress(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .progress(self) }
}

extension Answer: CodableBody {
    public static var type: MessageType { .answer }
    public init?(_ body: Message.Body) {
        guard case .answer(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .answer(self) }
}

extension Reject: CodableBody {
    public static var type: MessageType { .reject }
    public init?(_ body: Message.Body) {
        guard case .reject(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .reject(self) }
}

extension Cancel: CodableBody {
    public static var type: MessageType { .cancel }
    public init?(_ body: Message.Body) {
        guard case .cancel(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .cancel(self) }
}

extension Update: CodableBody {
    public static var type: MessageType { .update }
    public init?(_ body: Message.Body) {
        guard case .update(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .update(self) }
}

extension Info: CodableBody {
    public static var type: MessageType { .info }
    public init?(_ body: Message.Body) {
        guard case .info(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .info(self) }
}

extension Bye: CodableBody {
    public static var type: MessageType { .bye }
    public init?(_ body: Message.Body) {
        guard case .bye(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .bye(self) }
}

extension Introduction: CodableBody {
    public static var type: MessageType { .introduction }
    public init?(_ body: Message.Body) {
        guard case .introduction(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .introduction(self) }
}

extension Grant: CodableBody {
    public static var type: MessageType { .grant }
    public init?(_ body: Message.Body) {
        guard case .grant(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .grant(self) }
}

extension Publish: CodableBody {
    public static var type: MessageType { .publish }
    public init?(_ body: Message.Body) {
        guard case .publish(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .publish(self) }
}

extension Subscribe: CodableBody {
    public static var type: MessageType { .subscribe }
    public init?(_ body: Message.Body) {
        guard case .subscribe(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .subscribe(self) }
}

extension Notify: CodableBody {
    public static var type: MessageType { .notify }
    public init?(_ body: Message.Body) {
        guard case .notify(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .notify(self) }
}

extension Unpublish: CodableBody {
    public static var type: MessageType { .unpublish }
    public init?(_ body: Message.Body) {
        guard case .unpublish(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .unpublish(self) }
}

extension Provenance: CodableBody {
    public static var type: MessageType { .provenance }
    public init?(_ body: Message.Body) {
        guard case .provenance(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .provenance(self) }
}

extension KeyRotationStatement: CodableBody {
    public static var type: MessageType { .keyRotation }
    public init?(_ body: Message.Body) {
        guard case .keyRotation(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .keyRotation(self) }
}

extension DelegationRevocationStatement: CodableBody {
    public static var type: MessageType { .delegationRevocation }
    public init?(_ body: Message.Body) {
        guard case .delegationRevocation(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .delegationRevocation(self) }
}

extension ErrorReport: CodableBody {
    public static var type: MessageType { .error }
    public init?(_ body: Message.Body) {
        guard case .error(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .error(self) }
}

extension Hello: CodableBody {
    public static var type: MessageType { .hello }
    public init?(_ body: Message.Body) {
        guard case .hello(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .hello(self) }
}

extension ReachabilityHint: CodableBody {
    public static var type: MessageType { .reachabilityHint }
    public init?(_ body: Message.Body) {
        guard case .reachabilityHint(let value) = body else { return nil }
        self = value
    }
    public var body: Message.Body { .reachabilityHint(self) }
}

extension Message.Body {
    public var type: MessageType { Swift.type(of: coded).type }

    var coded: any CodableBody {
        switch self {
        case .invite(let body): body
        case .progress(let body): body
        case .answer(let body): body
        case .reject(let body): body
        case .cancel(let body): body
        case .update(let body): body
        case .info(let body): body
        case .bye(let body): body
        case .introduction(let body): body
        case .grant(let body): body
        case .publish(let body): body
        case .subscribe(let body): body
        case .notify(let body): body
        case .unpublish(let body): body
        case .provenance(let body): body
        case .keyRotation(let body): body
        case .delegationRevocation(let body): body
        case .error(let body): body
        case .hello(let body): body
        case .reachabilityHint(let body): body
        }
    }

    init(_ type: MessageType, _ fields: inout Fields) throws(ShapeFault) {
        switch type {
        case .invite: self = .invite(try Invite(&fields))
        case .progress: self = .progress(try Progress(&fields))
        case .answer: self = .answer(try Answer(&fields))
        case .reject: self = .reject(try Reject(&fields))
        case .cancel: self = .cancel(try Cancel(&fields))
        case .update: self = .update(try Update(&fields))
        case .info: self = .info(try Info(&fields))
        case .bye: self = .bye(try Bye(&fields))
        case .introduction: self = .introduction(try Introduction(&fields))
        case .grant: self = .grant(try Grant(&fields))
        case .publish: self = .publish(try Publish(&fields))
        case .subscribe: self = .subscribe(try Subscribe(&fields))
        case .notify: self = .notify(try Notify(&fields))
        case .unpublish: self = .unpublish(try Unpublish(&fields))
        case .provenance: self = .provenance(try Provenance(&fields))
        case .keyRotation: self = .keyRotation(try KeyRotationStatement(&fields))
        case .delegationRevocation: self = .delegationRevocation(try DelegationRevocationStatement(&fields))
        case .error: self = .error(try ErrorReport(&fields))
        case .hello: self = .hello(try Hello(&fields))
        case .reachabilityHint: self = .reachabilityHint(try ReachabilityHint(&fields))
        }
    }
}
