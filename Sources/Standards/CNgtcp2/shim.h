#pragma once

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

/// What a GnuTLS session points to: first what ngtcp2's crypto library asks for, then our own.
typedef struct quic_session_reference {
  ngtcp2_crypto_conn_ref ngtcp2;
  ngtcp2_conn *connection;
  void *owner;
} quic_session_reference;

static inline ngtcp2_conn *quic_session_reference_connection(ngtcp2_crypto_conn_ref *reference) {
  return ((quic_session_reference *)reference)->connection;
}

static inline quic_session_reference *quic_session_reference_new(void *owner) {
  quic_session_reference *reference = gnutls_calloc(1, sizeof(quic_session_reference));
  if (reference != NULL) {
    reference->ngtcp2.get_conn = quic_session_reference_connection;
    reference->owner = owner;
  }
  return reference;
}

static inline void quic_session_reference_free(quic_session_reference *reference) { gnutls_free(reference); }
