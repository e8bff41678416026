import DSIPDiscovery
import DSIPIdentity
import NIOConcurrencyHelpers
import Unbound

/// The DNS as aliases ask it, validated by libunbound.
public final class UnboundDNS: ValidatingDNS {
    /// How long nobody is asked after an answer that did not come: on a network that lets no such question out, each alias would wait.
    private static let pause: Duration = .seconds(60)

    private let resolver: ValidatingResolver
    private let pausedUntil = NIOLockedValueBox<ContinuousClock.Instant?>(nil)

    /// - Throws: `unavailable` where libunbound is not installed.
    public init(_ configuration: ValidatingResolver.Configuration = .init()) throws(UnboundError) {
        resolver = try ValidatingResolver(configuration)
    }

    public func texts(_ name: String) async throws(IdentityError) -> DNSTexts {
        let answer = try await ask(name, .txt)
        return DNSTexts(answer.records.compactMap { DNSTexts.text($0) }, verdict: DNSSECVerdict(answer.verdict))
    }

    public func services(
        _ name: String
    ) async throws(IdentityError) -> (services: [DNSService], verdict: DNSSECVerdict) {
        let answer = try await ask(name, .srv)
        return (answer.records.compactMap { DNSService($0) }, DNSSECVerdict(answer.verdict))
    }

    private func ask(
        _ name: String,
        _ type: ValidatingResolver.RecordType
    ) async throws(IdentityError) -> ValidatingResolver.Answer {
        guard pausedUntil.withLockedValue({ $0.map { $0 <= .now } ?? true }) else {
            throw IdentityError(.unreachable, "the DNS did not answer a moment ago")
        }
        let answer: ValidatingResolver.Answer
        do throws(UnboundError) {
            answer = try await resolver.ask(name, type: type)
        } catch {
            if error.code == .timeout { pausedUntil.withLockedValue { $0 = .now + UnboundDNS.pause } }
            throw IdentityError(.unreachable, "the DNS: \(error.reason)")
        }
        guard answer.verdict == .bogus || !answer.records.isEmpty else {
            throw IdentityError(.notFound, "the DNS has no such record")
        }
        return answer
    }
}

extension DNSSECVerdict {
    fileprivate init(_ verdict: ValidatingResolver.Verdict) {
        switch verdict {
        case .secure: self = .secure
        case .insecure: self = .insecure
        case .bogus: self = .bogus
        }
    }
}
