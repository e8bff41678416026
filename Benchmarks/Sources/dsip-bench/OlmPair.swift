import Foundation

/// libolm, loaded when it is installed: two accounts, and a session between them that has been answered.
final class OlmPair {
    private typealias Pointer = UnsafeMutableRawPointer
    private typealias Size = @convention(c) () -> Int
    private typealias Make = @convention(c) (Pointer) -> Pointer
    private typealias Count = @convention(c) (Pointer) -> Int
    private typealias CountOf = @convention(c) (Pointer, Int) -> Int
    private typealias Fill = @convention(c) (Pointer, Pointer, Int) -> Int
    private typealias Keys = @convention(c) (Pointer, Int, Pointer, Int) -> Int
    private typealias Outbound =
        @convention(c) (Pointer, Pointer, UnsafeRawPointer, Int, UnsafeRawPointer, Int, Pointer, Int) -> Int
    private typealias Inbound = @convention(c) (Pointer, Pointer, Pointer, Int) -> Int
    private typealias Encrypt = @convention(c) (Pointer, UnsafeRawPointer, Int, Pointer, Int, Pointer, Int) -> Int
    private typealias Decrypt = @convention(c) (Pointer, Int, Pointer, Int, Pointer, Int) -> Int

    private let library: Pointer
    private let encryptMessage: Encrypt
    private let decryptMessage: Decrypt
    private let messageType: Count
    private let messageLength: CountOf
    private let randomLength: Count
    private let accounts: [Pointer]
    private let identityOfB: [UInt8]
    private let oneTimeOfB: [UInt8]
    private let a: Pointer
    private let b: Pointer
    private var isAsTurn = true
    private var counter: UInt64 = 0
    private var message = [UInt8](repeating: 0, count: 8192)
    private var opened = [UInt8](repeating: 0, count: 8192)
    private var entropy = [UInt8](repeating: 0x5a, count: 4096)

    init?() {
        guard let library = dlopen("libolm.so.3", RTLD_NOW) ?? dlopen("libolm.3.dylib", RTLD_NOW) else { return nil }
        self.library = library
        func load<T>(_ name: String, _: T.Type) -> T { unsafeBitCast(dlsym(library, name), to: T.self) }
        encryptMessage = load("olm_encrypt", Encrypt.self)
        decryptMessage = load("olm_decrypt", Decrypt.self)
        messageType = load("olm_encrypt_message_type", Count.self)
        messageLength = load("olm_encrypt_message_length", CountOf.self)
        randomLength = load("olm_encrypt_random_length", Count.self)
        var generator = SystemRandomNumberGenerator()
        func random(_ count: Int) -> [UInt8] {
            (0..<max(1, count)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        }
        func allocate(_ size: String, _ make: String) -> Pointer {
            load(make, Make.self)(.allocate(byteCount: load(size, Size.self)(), alignment: 16))
        }
        let accounts = (0..<2).map { _ in
            let account = allocate("olm_account_size", "olm_account")
            var bytes = random(load("olm_create_account_random_length", Count.self)(account))
            _ = load("olm_create_account", Fill.self)(account, &bytes, bytes.count)
            return account
        }
        self.accounts = accounts
        /// The first value after `name` in what libolm writes as JSON.
        func value(after name: String, _ read: String) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: 1024)
            let count = load(read, Fill.self)(accounts[1], &bytes, bytes.count)
            let text = String(decoding: bytes.prefix(count), as: UTF8.self)
            guard let start = text.range(of: name)?.upperBound else { return [] }
            let parts = text[start...].split(separator: "\"")
            return Array((parts.first { $0.utf8.count == 43 } ?? "").utf8)
        }
        identityOfB = value(after: "\"curve25519\"", "olm_account_identity_keys")
        var bytes = random(load("olm_account_generate_one_time_keys_random_length", CountOf.self)(accounts[1], 1))
        _ = load("olm_account_generate_one_time_keys", Keys.self)(accounts[1], 1, &bytes, bytes.count)
        oneTimeOfB = value(after: "\"curve25519\"", "olm_account_one_time_keys")
        a = allocate("olm_session_size", "olm_session")
        b = allocate("olm_session_size", "olm_session")
        guard identityOfB.count == 43, oneTimeOfB.count == 43 else { return nil }
        begin(a, b)
        // The first message was only looked at by the constructor; these answer it and one another.
        for _ in 0..<4 { turn([1]) }
    }

    /// Both constructors, and the first message between them.
    private func begin(_ a: Pointer, _ b: Pointer) {
        let outbound = unsafeBitCast(dlsym(library, "olm_create_outbound_session"), to: Outbound.self)
        let length = unsafeBitCast(dlsym(library, "olm_create_outbound_session_random_length"), to: Count.self)(a)
        var generator = SystemRandomNumberGenerator()
        for i in 0..<length { entropy[i] = UInt8.random(in: .min ... .max, using: &generator) }
        _ = outbound(a, accounts[0], identityOfB, 43, oneTimeOfB, 43, &entropy, length)
        let count = seal(a, [1]).count
        // The constructor overwrites what it reads.
        var copy = Array(message.prefix(count))
        let inbound = unsafeBitCast(dlsym(library, "olm_create_inbound_session"), to: Inbound.self)
        _ = inbound(b, accounts[1], &copy, count)
    }

    func setup() {
        for session in [a, b] {
            _ = unsafeBitCast(dlsym(library, "olm_clear_session"), to: Count.self)(session)
            _ = unsafeBitCast(dlsym(library, "olm_session"), to: Make.self)(session)
        }
        begin(a, b)
        isAsTurn = true
        pass(a, b, [1])
    }

    private func seal(_ session: Pointer, _ text: [UInt8]) -> (type: Int, count: Int) {
        let type = messageType(session)
        let length = randomLength(session)
        // A counter for a generator: cheaper, to libolm's advantage.
        counter += 1
        withUnsafeBytes(of: counter) { entropy.replaceSubrange(8..<16, with: $0) }
        return (
            type,
            encryptMessage(session, text, text.count, &entropy, length, &message, messageLength(session, text.count))
        )
    }

    private func pass(_ from: Pointer, _ to: Pointer, _ text: [UInt8]) {
        let (type, count) = seal(from, text)
        guard decryptMessage(to, type, &message, count, &opened, opened.count) == text.count else {
            let error = unsafeBitCast(
                dlsym(library, "olm_session_last_error"),
                to: (@convention(c) (Pointer) -> UnsafePointer<CChar>).self
            )
            fatalError("libolm: \(String(cString: error(from))), \(String(cString: error(to)))")
        }
    }

    func oneWay(_ text: [UInt8]) { pass(a, b, text) }

    func turn(_ text: [UInt8]) {
        isAsTurn ? pass(a, b, text) : pass(b, a, text)
        isAsTurn.toggle()
    }
}
