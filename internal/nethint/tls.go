package nethint

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Given is what a client was given for TLS. A hint never offers it again.
type Given struct {
	Roots, Certificate bool
	ServerName         string
}

// GivenTo looks at the transport, if it can be looked at.
func GivenTo(client *http.Client) Given {
	t, ok := client.Transport.(*http.Transport)
	if !ok || t.TLSClientConfig == nil {
		return Given{}
	}
	c := t.TLSClientConfig
	return Given{
		Roots:       c.RootCAs != nil,
		Certificate: c.GetClientCertificate != nil || len(c.Certificates) > 0,
		ServerName:  c.ServerName,
	}
}

// tlsHint is what to do about an error of TLS, by its cause.
func tlsHint(u *url.URL, given Given, err error) string {
	var (
		unknown   x509.UnknownAuthorityError
		otherName x509.HostnameError
		invalid   x509.CertificateInvalidError
		op        *net.OpError
	)
	said := err.Error()
	switch {
	case strings.Contains(said, "negative serial number"):
		return NegativeSerial
	case strings.Contains(said, "insecure algorithm"):
		return "a certificate is signed with an algorithm that isn't trusted any more: have it issued again"
	case errors.As(err, &unknown) && strings.Contains(said, "candidate authority certificate"):
		return "a CA of that name is trusted, and its key is another: the CA was made again; give the CA certificate that it has now"
	case errors.As(err, &unknown) && given.Roots:
		return "the CA certificate that was given didn't sign the server's: give the CA certificate that did, with those between them if the server doesn't send them"
	case errors.As(err, &unknown):
		return "give the CA certificate that signed the server's"
	case errors.As(err, &otherName):
		return nameHint(given, otherName)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the server's certificate, or look at this machine's clock"
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "the certificate isn't for servers: have one issued with the extended key usage serverAuth"
	case strings.Contains(said, "invalid signature by the server certificate"):
		return "the server has the key of another certificate: give it the certificate and the key of one pair"
	case CauseOf(u, err) == NotTLS:
		return "the server doesn't speak TLS on this port"
	case strings.Contains(said, "TLS handshake timeout"):
		return "the connection stands, and the handshake gets no answer: a firewall in between may drop the large hello of post-quantum keys; " +
			"try with GODEBUG=tlsmlkem=0 in the environment, and look at whether the port speaks TLS at all"
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(said, "certificate"):
		return clientCertificateHint(given)
	case u.Scheme == "https" && (HungUp(err) || strings.Contains(said, "client conn could not be established")):
		// What is left of the alert when it arrives after the client's side of a TLS 1.3 handshake.
		return "the server, or a firewall before it, hung up: " + clientCertificateHint(given)
	}
	return ""
}

// NegativeSerial is what to do about a certificate with a negative serial number.
const NegativeSerial = "the serial number of this certificate is negative, which RFC 5280 section 4.1.2.2 forbids: have the CA issue it again; " +
	"until then, GODEBUG=x509negativeserial=1 in the environment takes it"

// nameHint is what to do about a certificate for other names. Where it has none, no name will do.
func nameHint(given Given, e x509.HostnameError) string {
	c := e.Certificate
	switch {
	case c != nil && len(c.DNSNames)+len(c.IPAddresses) == 0:
		return "the server's certificate has no subject alternative name (SAN), and a common name isn't looked at: have one issued that has the server's name as a SAN"
	case given.ServerName != "":
		return fmt.Sprintf("the TLS server name that was given, %q, isn't among the names of the server's certificate: give one of them", given.ServerName)
	}
	return "use a name of the server's certificate, or set the TLS server name"
}

func clientCertificateHint(given Given) string {
	if given.Certificate {
		return "does it refuse the client certificate that was given? Look at which CA it wants, and at when the certificate ends"
	}
	return "the server asks for a client certificate: give one, with its key"
}
