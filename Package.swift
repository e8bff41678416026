// swift-tools-version: 6.1
import PackageDescription

// The floors of docs/ARCHITECTURE.md: a target imports only floors below its own, and what this table names.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func product(_ name: String, _ package: String) -> Target.Dependency { .product(name: name, package: package) }

let crypto = product("Crypto", "swift-crypto")
let cryptoExtras = product("CryptoExtras", "swift-crypto")
let log = product("Logging", "swift-log")
let nio: [Target.Dependency] = [
    product("NIOCore", "swift-nio"), product("NIOPosix", "swift-nio"), product("NIOConcurrencyHelpers", "swift-nio"),
]
let nioWebSocket: [Target.Dependency] = [
    product("NIOHTTP1", "swift-nio"), product("NIOWebSocket", "swift-nio"), product("NIOSSL", "swift-nio-ssl"),
]

/// Only where the trait `QUIC` is on: what needs ngtcp2 and GnuTLS.
let withQUIC = TargetDependencyCondition.when(traits: ["QUIC"])

func target(_ name: String, _ floor: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(floor)/\(name)", swiftSettings: strict)
}

func tests(_ name: String, _ floor: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: [.target(name: name), "Support"] + dependencies,
        path: "Tests/\(floor)/\(name)Tests",
        swiftSettings: strict
    )
}

let package = Package(
    name: "dsip",
    products: [
        .library(name: "Encoding", targets: ["Encoding"]),
        .library(name: "Libp2p", targets: ["Libp2p"]),
        .library(name: "QUIC", targets: ["QUIC"]),
        .library(name: "DoubleRatchet", targets: ["DoubleRatchet"]),
        .library(name: "MLS", targets: ["MLS"]),
        .library(name: "WebPush", targets: ["WebPush"]),
        .library(name: "DSIPIdentity", targets: ["DSIPIdentity"]),
        .library(name: "DSIPSignaling", targets: ["DSIPSignaling"]),
        .library(name: "DSIPSession", targets: ["DSIPSession"]),
        .library(name: "DSIPTransport", targets: ["DSIPTransport"]),
        .library(name: "DSIPBroadcast", targets: ["DSIPBroadcast"]),
        .library(name: "DSIPMessaging", targets: ["DSIPMessaging"]),
        .library(name: "DSIPDiscovery", targets: ["DSIPDiscovery"]),
        .library(name: "DSIPDialect03", targets: ["DSIPDialect03"]),
        .library(name: "DSIPAgent", targets: ["DSIPAgent"]),
        .library(name: "DSIPRelay", targets: ["DSIPRelay"]),
        .executable(name: "dsip", targets: ["dsip"]),
        // For the benchmarks beside this package.
        .library(name: "KademliaSimulation", targets: ["KademliaSimulation"]),
    ],
    traits: [
        .trait(name: "QUIC", description: "The binding quic/1.0, over ngtcp2 and GnuTLS of the system.")
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.10.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.26.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.10.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.25.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        // Standards
        target("Encoding", "Standards", []),
        target(
            "Libp2p",
            "Standards",
            [
                "Encoding", crypto, cryptoExtras, product("NIOSSL", "swift-nio-ssl"), product("NIOTLS", "swift-nio"),
                product("X509", "swift-certificates"), product("SwiftASN1", "swift-asn1"),
            ] + nio
        ),
        target("MLS", "Standards", [crypto]),
        target("WebRTC", "Standards", ["Encoding", crypto]),
        target("DoubleRatchet", "Standards", [crypto, cryptoExtras]),
        target("WebPush", "Standards", ["Encoding", crypto]),
        target("Ethereum", "Standards", ["Encoding"]),
        .target(name: "CUnbound", path: "Sources/Standards/CUnbound"),
        target("Unbound", "Standards", ["CUnbound"]),
        .systemLibrary(
            name: "CQRencode",
            path: "Sources/Standards/CQRencode",
            pkgConfig: "libqrencode",
            providers: [.apt(["libqrencode-dev"])]
        ),
        .systemLibrary(
            name: "CNgtcp2",
            path: "Sources/Standards/CNgtcp2",
            pkgConfig: "libngtcp2_crypto_gnutls",
            providers: [.apt(["libngtcp2-dev", "libngtcp2-crypto-gnutls-dev", "libgnutls28-dev"])]
        ),
        target("QUIC", "Standards", [.target(name: "CNgtcp2", condition: withQUIC)] + nio),
        // Core
        target("DSIPIdentity", "Core", ["Encoding", "CQRencode", crypto, cryptoExtras]),
        target("DSIPSignaling", "Core", ["Encoding", "DSIPIdentity", crypto]),
        target("DSIPSession", "Core", ["DSIPSignaling", "DSIPIdentity", "Encoding", crypto]),
        target(
            "DSIPTransport",
            "Core",
            [
                "DSIPSignaling", "DSIPIdentity", "Encoding", .target(name: "QUIC", condition: withQUIC),
                product("NIOTLS", "swift-nio"), product("X509", "swift-certificates"),
                product("SwiftASN1", "swift-asn1"), crypto,
            ] + nio + nioWebSocket
        ),
        // Profiles
        target("DSIPTrust", "Profiles", ["DSIPSignaling", "DSIPIdentity", "Encoding"]),
        target(
            "DSIPMessaging",
            "Profiles",
            ["DSIPSignaling", "DSIPIdentity", "Encoding", "MLS", "DoubleRatchet", crypto]
        ),
        target("DSIPBroadcast", "Profiles", ["DSIPSignaling", "DSIPIdentity", "Encoding"]),
        target("DSIPMedia", "Profiles", ["DSIPSignaling", "DSIPIdentity", "Encoding", "WebRTC"]),
        target(
            "DSIPDialect03",
            "Profiles",
            ["DSIPMedia", "DSIPSignaling", "DSIPIdentity", "Encoding", "WebRTC", crypto]
        ),
        target(
            "DSIPDiscovery",
            "Profiles",
            ["DSIPSignaling", "DSIPIdentity", "Encoding", "Ethereum", "Libp2p", crypto]
        ),
        // Products
        target(
            "DSIPRelay",
            "Products",
            [
                "DSIPTransport", "DSIPSession", "DSIPSignaling", "DSIPIdentity", "DSIPBroadcast", "DSIPMessaging",
                "DSIPDiscovery", "DSIPDialect03", "Encoding", "Libp2p", "WebRTC", "WebPush", crypto, cryptoExtras, log,
                product("AsyncHTTPClient", "async-http-client"),
                product("GRDB", "GRDB.swift"), product("Hummingbird", "hummingbird"),
                product("HTTPTypes", "swift-http-types"), product("NIOHTTPTypes", "swift-nio-extras"),
                product("NIOHTTPTypesHTTP1", "swift-nio-extras"),
                product("ServiceLifecycle", "swift-service-lifecycle"),
                product("Configuration", "swift-configuration"),
            ] + nio + nioWebSocket
        ),
        target(
            "DSIPAgent",
            "Products",
            [
                "DSIPTransport", "DSIPSession", "DSIPSignaling", "DSIPIdentity", "DSIPTrust", "DSIPMedia",
                "DSIPBroadcast", "DSIPMessaging", "DSIPDiscovery", "DSIPDialect03", "Libp2p", "Unbound",
                "DoubleRatchet", "Encoding", "WebRTC", crypto, log, product("GRDB", "GRDB.swift"),
                product("Hummingbird", "hummingbird"),
                product("HTTPTypes", "swift-http-types"), product("NIOHTTPTypes", "swift-nio-extras"),
                product("NIOHTTPTypesHTTP1", "swift-nio-extras"),
                product("ServiceLifecycle", "swift-service-lifecycle"),
            ] + nio + nioWebSocket
        ),
        target(
            "DSIPConformance",
            "Products",
            [
                "DSIPSession", "DSIPSignaling", "DSIPIdentity", "DSIPTrust", "DSIPMedia", "DSIPMessaging",
                "DSIPBroadcast", "DSIPDiscovery", "Encoding", "WebRTC", "DoubleRatchet", "Libp2p", "MLS", "WebPush",
                crypto, cryptoExtras,
            ]
        ),
        .executableTarget(
            name: "dsip",
            dependencies: [
                "DSIPAgent", "DSIPRelay", "DSIPConformance", "DSIPTransport", "DSIPSignaling", "DSIPIdentity",
                "DSIPTrust", "DSIPDiscovery", "Libp2p", "Unbound",
                "Encoding", "WebRTC", product("AsyncHTTPClient", "async-http-client"), product("NIOCore", "swift-nio"),
                product("NIOPosix", "swift-nio"), product("NIOHTTP1", "swift-nio"), product("NIOSSL", "swift-nio-ssl"),
                product("ArgumentParser", "swift-argument-parser"), product("Configuration", "swift-configuration"),
                product("ServiceLifecycle", "swift-service-lifecycle"),
                product("UnixSignals", "swift-service-lifecycle"), log,
            ],
            path: "Sources/Products/dsip",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "dsip-fuzz",
            dependencies: [
                "Encoding", "MLS", "Libp2p", "WebRTC", "DoubleRatchet", "WebPush", "DSIPIdentity", "DSIPSignaling",
                "DSIPBroadcast", "DSIPMedia", "DSIPMessaging", "DSIPDiscovery", "DSIPDialect03", "DSIPTransport",
                crypto,
                product("NIOCore", "swift-nio"),
            ],
            path: "Fuzz",
            swiftSettings: strict
        ),
        // Interop
        .target(name: "LinePeer", dependencies: ["Encoding"], path: "Interop/LinePeer", swiftSettings: strict),
        .executableTarget(
            name: "libp2p-peer",
            dependencies: ["Libp2p", "Encoding", product("NIOPosix", "swift-nio")],
            path: "Interop/Libp2pPeer",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "quic-peer",
            dependencies: ["QUIC"] + nio,
            path: "Interop/QUICPeer",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "roaming-peer",
            dependencies: ["DSIPTransport", "DSIPSignaling", "DSIPIdentity", "Encoding"],
            path: "Interop/RoamingPeer",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "ratchet-peer",
            dependencies: ["DoubleRatchet", "Encoding", "LinePeer"],
            path: "Interop/RatchetPeer",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "webpush-peer",
            dependencies: ["WebPush", "Encoding", "LinePeer", crypto],
            path: "Interop/WebPushPeer",
            swiftSettings: strict
        ),
        // Tests
        .target(
            name: "Support",
            dependencies: ["Encoding", "DSIPIdentity", "DSIPSignaling", "DSIPMessaging"],
            path: "Tests/Support",
            swiftSettings: strict
        ),
        .target(
            name: "KademliaSimulation",
            dependencies: ["Support", "Libp2p", crypto],
            path: "Tests/KademliaSimulation",
            swiftSettings: strict
        ),
        .target(
            name: "MessagingSimulation",
            dependencies: ["Support", "DSIPMessaging", "DSIPSignaling", "DSIPIdentity", "Encoding", "MLS", crypto],
            path: "Tests/MessagingSimulation",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "message-soak",
            dependencies: ["MessagingSimulation", "DSIPMessaging"],
            path: "Tests/MessageSoak",
            swiftSettings: strict
        ),
        tests("Encoding", "Standards"),
        tests(
            "Libp2p",
            "Standards",
            [
                "KademliaSimulation", "Encoding", crypto, product("X509", "swift-certificates"),
                product("SwiftASN1", "swift-asn1"),
            ] + nio
        ),
        .testTarget(
            name: "QUICTests",
            dependencies: ["QUIC"] + nio,
            path: "Tests/Standards/QUICTests",
            swiftSettings: strict
        ),
        tests("MLS", "Standards", ["DSIPConformance", "Encoding", crypto]),
        tests("WebRTC", "Standards", ["Encoding"]),
        tests("DoubleRatchet", "Standards", [crypto]),
        tests("Ethereum", "Standards", ["Encoding"]),
        tests("WebPush", "Standards", ["DSIPConformance", "Encoding", crypto]),
        tests("DSIPIdentity", "Core", [crypto]),
        tests("DSIPSignaling", "Core", ["DSIPConformance", crypto]),
        tests("DSIPSession", "Core", ["DSIPConformance"]),
        tests(
            "DSIPTransport",
            "Core",
            [
                crypto, product("NIOEmbedded", "swift-nio"), product("X509", "swift-certificates"),
                product("SwiftASN1", "swift-asn1"),
            ] + nio + nioWebSocket
        ),
        tests(
            "DSIPDiscovery",
            "Profiles",
            ["DSIPConformance", "DSIPSignaling", "DSIPIdentity", "Encoding", "Ethereum", "Libp2p", crypto]
        ),
        tests("DSIPBroadcast", "Profiles", ["DSIPConformance", "DSIPSignaling", "DSIPIdentity", "Encoding"]),
        tests(
            "DSIPDialect03",
            "Profiles",
            ["DSIPMedia", "DSIPSignaling", "DSIPIdentity", "Encoding", "WebRTC", crypto]
        ),
        tests("DSIPMedia", "Profiles", ["DSIPConformance", "DSIPSignaling", "Encoding", "WebRTC"]),
        tests(
            "DSIPMessaging",
            "Profiles",
            [
                "DSIPConformance", "DSIPSignaling", "DSIPIdentity", "DoubleRatchet", "Encoding", "MLS",
                "MessagingSimulation", crypto,
            ]
        ),
        tests(
            "DSIPRelay",
            "Products",
            [
                "DSIPDialect03", "DSIPIdentity", "DSIPMessaging", "DSIPTransport", "DSIPSession", "MLS", crypto, log,
            ] + nio + nioWebSocket
        ),
        // Apart from the relay's other tests for the HTTP/2 server it brings.
        .testTarget(
            name: "RelayPushTests",
            dependencies: [
                "DSIPAgent", "DSIPRelay", "DSIPIdentity", "DSIPMessaging", "DSIPTransport", "Encoding", "WebPush",
                crypto,
                cryptoExtras,
                log, product("Hummingbird", "hummingbird"), product("HummingbirdCore", "hummingbird"),
                product("HummingbirdHTTP2", "hummingbird"), product("HTTPTypes", "swift-http-types"),
                product("NIOSSL", "swift-nio-ssl"),
            ] + nio,
            path: "Tests/Products/RelayPushTests",
            swiftSettings: strict
        ),
        tests(
            "DSIPAgent",
            "Products",
            [
                "DSIPDialect03", "DSIPDiscovery", "DSIPIdentity", "DSIPMedia", "DSIPMessaging", "DSIPRelay",
                "DSIPSignaling", "DSIPTransport", "DoubleRatchet", "Encoding", "Libp2p", "Unbound", crypto, log,
            ] + nio
        ),
    ]
)
