#if QUIC
/// A root, a server it vouches for (`relay.test`, `localhost`, 127.0.0.1), and a certificate nobody vouches for. All expire in 2126.
enum TestCertificates {
    static let root = """
        -----BEGIN CERTIFICATE-----
        MIIBkDCCATWgAwIBAgIUSNIt3Y4YuluLmsgX+CdDLi9HIb8wCgYIKoZIzj0EAwIw
        FDESMBAGA1UEAwwJVGVzdCByb290MCAXDTI2MTEyMTE2NTY1N1oYDzIxMjYxMDI4
        MTY1NjU3WjAUMRIwEAYDVQQDDAlUZXN0IHJvb3QwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAARx/n7g7mxGyHk3+A79qkYNb9XDIiNZmvG2zMeC0cKB01Lp9GfAm5PK
        Wk6G8Mfgfks3sgLyzisYdUlJ6xfooYiKo2MwYTAdBgNVHQ4EFgQUKykwgLHOAH9z
        pj5j9aEa2KsUo8EwHwYDVR0jBBgwFoAUKykwgLHOAH9zpj5j9aEa2KsUo8EwDwYD
        VR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAgQwCgYIKoZIzj0EAwIDSQAwRgIh
        AMv05rtJ8wDO0nr3aaoe/O0NNHJnk4xbXMD4mHpl4923AiEA6Yyt0YwvhCCzRL0X
        jfTwYhBTxfnnjKe8nQlEQ4pT1po=
        -----END CERTIFICATE-----
        """

    static let server = """
        -----BEGIN CERTIFICATE-----
        MIIBxzCCAWygAwIBAgIUW3Ch+0cVr7+uWoyWdLEPDSyFT88wCgYIKoZIzj0EAwIw
        FDESMBAGA1UEAwwJVGVzdCByb290MCAXDTI2MTEyMTE2NTY1N1oYDzIxMjYxMDI4
        MTY1NjU3WjAVMRMwEQYDVQQDDApyZWxheS50ZXN0MFkwEwYHKoZIzj0CAQYIKoZI
        zj0DAQcDQgAEUsmA4YGJTi7r/5DDC0EJUOYa8jDvlNh+Ws0IrYs9r4zzfdqpWf1e
        7Lyywpgahuy3XCWFzgKOJgc+vwlikT/8aKOBmDCBlTAmBgNVHREEHzAdggpyZWxh
        eS50ZXN0gglsb2NhbGhvc3SHBH8AAAEwCQYDVR0TBAIwADALBgNVHQ8EBAMCB4Aw
        EwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYEFKlE+ZE8dKpJKigC7LD/NyQk
        a1bsMB8GA1UdIwQYMBaAFCspMICxzgB/c6Y+Y/WhGtirFKPBMAoGCCqGSM49BAMC
        A0kAMEYCIQDf01Y/471W7A+ry5CE4/2DrnK2z1VPHyBN3AhBX+Kh9QIhAKlTWhb5
        q7kPTS224cE2t48EWTX/wLtE61Vp9UA8PktY
        -----END CERTIFICATE-----
        """

    static let serverKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHrgKsIN4j7wYFPwA
        Sp6zYaXPifNe02tvnqa4TleLxFuhRANCAARSyYDhgYlOLuv/kMMLQQlQ5hryMO+U
        2H5azQitiz2vjPN92qlZ/V7svLLCmBqG7LdcJYXOAo4mBz6/CWKRP/xo
        -----END PRIVATE KEY-----
        """

    static let stranger = """
        -----BEGIN CERTIFICATE-----
        MIIBmjCCAUCgAwIBAgIUCViXLIU/uMIOJXpPNJ2ObvgEhpkwCgYIKoZIzj0EAwIw
        FjEUMBIGA1UEAwwLc2VsZi1zaWduZWQwIBcNMjYxMTIxMTY1NjU3WhgPMjEyNjEw
        MjgxNjU2NTdaMBYxFDASBgNVBAMMC3NlbGYtc2lnbmVkMFkwEwYHKoZIzj0CAQYI
        KoZIzj0DAQcDQgAEuEBWfytmjJiMRsjyWv1TbaDXLPugP0AO1eCqOAbwEwlogCf3
        XBGgqt1Cqy7XnJdIRPDvuE7FqHbtM5mka7t6HaNqMGgwHQYDVR0OBBYEFGydV8C6
        UNtmYL/hZ99SppLOv1LXMB8GA1UdIwQYMBaAFGydV8C6UNtmYL/hZ99SppLOv1LX
        MA8GA1UdEwEB/wQFMAMBAf8wFQYDVR0RBA4wDIIKcmVsYXkudGVzdDAKBggqhkjO
        PQQDAgNIADBFAiEA1LpgNhymNG9AIDxUc+1oIt3FAemSBaQjDXQJxfI4xp4CIG14
        ZTuL+vJFmYy5H0XIVgK6GfWNob84DXeAfE5ACtl0
        -----END CERTIFICATE-----
        """

    static let strangerKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFzE4SfQkuH054hH5
        JHm0Xblz1GqMNaVXmJYV1wQhD+uhRANCAAS4QFZ/K2aMmIxGyPJa/VNtoNcs+6A/
        QA7V4Ko4BvATCWiAJ/dcEaCq3UKrLtecl0hE8O+4TsWodu0zmaRru3od
        -----END PRIVATE KEY-----
        """
}
#endif
