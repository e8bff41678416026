import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

/// One device's whole messaging.
