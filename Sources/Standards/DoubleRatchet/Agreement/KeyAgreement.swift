/// X3DH and PQXDH: the computations of both sides. Which keys to use and when to forget them is `PreKeyRing`'s.
public enum KeyAgreement {
    /// The initiator's side (X3DH §3.3, PQXDH §3.3).
    ///
    /// - Returns: the secret and what the responder needs to reach it too.
    public static func initiate(
        _ identity: IdentityKeyPair,
        with verified: VerifiedPreKeyBundle,
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) -> (agreed: AgreedSecret, handshake: Handshake) {
        try initiate(identity, with: verified, ephemeral: AgreementKey(using: &random))
    }

    package static func initiate(
        _ identity: IdentityKeyPair,
        with verified: VerifiedPreKeyBundle,
        ephemeral: AgreementKey
    ) throws(RatchetError) -> (agreed: AgreedSecret, handshake: Handshake) {
        let (bundle, profile) = (verified.bundle, verified.profile)
        let theirs = try bundle.identity.agreementKey()
        var secrets = [
            try identity.agreement.agree(bundle.signed.key),
            try ephemeral.agree(theirs),
            try ephemeral.agree(bundle.signed.key),
        ]
        if let oneTime = bundle.oneTime { secrets.append(try ephemeral.agree(oneTime.key)) }
        var encapsulation: Handshake.Encapsulation?
        if let set = profile.kem, let kem = bundle.kem {
            let (ciphertext, secret) = try set.encapsulate(to: kem.key)
            secrets.append(secret)
            encapsulation = .init(preKey: kem.id, kem: set, ciphertext: ciphertext)
        }
        let agreed = AgreedSecret(
            keys: profile.derive(secrets),
            associatedData: try profile.associatedData(
                initiator: identity.publicKey,
                responder: bundle.identity,
                kemKey: encapsulation == nil ? nil : bundle.kem?.key
            )
        )
        let handshake = Handshake(
            identity: identity.publicKey,
            ephemeralKey: ephemeral.publicKey,
            signedPreKey: bundle.signed.id,
            oneTimePreKey: bundle.oneTime?.id,
            encapsulation: encapsulation
        )
        return (agreed, handshake)
    }

    /// The responder's side (X3DH §3.4, PQXDH §3.4), with the keys the handshake names.
    package static func respond(
        _ identity: IdentityKeyPair,
        to handshake: Handshake,
        signed: AgreementKey,
        oneTime: AgreementKey?,
        profile: AgreementProfile
    ) throws(RatchetError) -> AgreedSecret {
        try respond(identity, to: handshake, signed: signed, oneTime: oneTime, kem: nil, profile: profile)
    }

    static func respond(
        _ identity: IdentityKeyPair,
        to handshake: Handshake,
        signed: AgreementKey,
        oneTime: AgreementKey?,
        kem: KEMKeyPair?,
        profile: AgreementProfile
    ) throws(RatchetError) -> AgreedSecret {
        var secrets = [
            try signed.agree(try handshake.identity.agreementKey()),
            try identity.agreement.agree(handshake.ephemeralKey),
            try signed.agree(handshake.ephemeralKey),
        ]
        if let oneTime { secrets.append(try oneTime.agree(handshake.ephemeralKey)) }
        if let kem, let encapsulation = handshake.encapsulation {
            secrets.append(try kem.decapsulate(encapsulation.ciphertext))
        }
        return AgreedSecret(
            keys: profile.derive(secrets),
            associatedData: try profile.associatedData(
                initiator: handshake.identity,
                responder: identity.publicKey,
                kemKey: kem?.publicKey
            )
        )
    }
}
