package jwks

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A client certificate is read again at each handshake. A pipe in its place, which nobody writes
// to, holds none of them up.
func TestClientCertificateThatIsAPipe(t *testing.T) {
	certificate, key := newAuthority(t).issue(t, time.Now().Add(time.Hour))
	files := TLS{ClientCert: writeFile(t, "c.pem", certificate), ClientKey: writeFile(t, "k.pem", key)}
	_, err := files.HTTPClient()
	require.NoError(t, err)
	require.NoError(t, os.Remove(files.ClientKey))
	require.NoError(t, syscall.Mkfifo(files.ClientKey, 0o600))
	_, err = files.clientCertificate(nil)
	require.ErrorContains(t, err, files.ClientKey+": not a regular file")
}
