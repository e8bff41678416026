import DSIPIdentity

/// Those who are asked whom an alias means. Who is absent is not asked.
public struct AliasPlaces: Sendable {
    /// For the DNS; nil where nothing validates DNSSEC.
    public var dns: (any ValidatingDNS)?
    /// A network, its registry of names, and the node that is believed.
    public var ens: EthereumNetwork?
    /// Asks a resolver of Handshake names, which is believed.
    public var handshake: (any ValidatingDNS)?

    public init() {}

    /// All there are, for either form of alias.
    public var sources: [AliasClaim.Source] {
        AliasClaim.Source.allCases.filter { source in
            switch source {
            case .webFinger, .wellKnown: true
            case .dns: dns != nil
            case .ens: ens != nil
            case .handshake: handshake != nil
            }
        }
    }

    /// - Parameter fetcher: asks the host of an account.
    public func claim(
        _ alias: Alias,
        _ source: AliasClaim.Source,
        fetcher: any DocumentFetcher
    ) async throws(IdentityError) -> AliasClaim {
        switch source {
        case .webFinger:
            let resolved = try await WebFinger.resolve(alias, fetcher: fetcher)
            return AliasClaim(source: .webFinger, did: resolved.did, relay: resolved.relay, basis: .certificate)
        case .wellKnown: return try await AliasFile.resolve(alias, through: fetcher)
        case .dns:
            guard let dns else { throw IdentityError(.unsupported, "there is no validating resolver") }
            return try await AliasDNS.resolve(alias, through: dns)
        case .ens:
            guard let ens else { throw IdentityError(.unsupported, "no Ethereum node is known") }
            return try await EthereumNames.resolve(alias, on: ens)
        case .handshake:
            guard let handshake else { throw IdentityError(.unsupported, "no Handshake resolver is known") }
            return try await HandshakeNames.resolve(alias, through: handshake)
        }
    }

    /// What all of `sources` say that know such aliases, asked at once.
    public func finding(
        of alias: Alias,
        from sources: [AliasClaim.Source],
        fetcher: any DocumentFetcher
    ) async -> AliasFinding {
        let answers = await withTaskGroup(of: (AliasClaim.Source, Result<AliasClaim, IdentityError>).self) { group in
            for source in sources where source.knows(alias.form) {
                group.addTask {
                    do throws(IdentityError) {
                        return (source, .success(try await claim(alias, source, fetcher: fetcher)))
                    } catch {
                        return (source, .failure(error))
                    }
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        var (claims, failures): ([AliasClaim], [AliasClaim.Source: IdentityError]) = ([], [:])
        for source in sources {
            switch answers[source] {
            case .success(let claim)?: claims.append(claim)
            case .failure(let error)?: failures[source] = error
            case nil: continue
            }
        }
        return AliasFinding(alias: alias, claims: claims, failures: failures)
    }
}
