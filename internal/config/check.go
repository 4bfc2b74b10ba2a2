package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/jwks"
)

// namedFile is a file that the configuration names. Anyone who runs harvest finds out that it
// can't be used; harvest config validate finds out before.
type namedFile struct {
	at         hcl.Range // of the attribute
	name       string
	credential bool // nobody else should read it
	check      func(ctx context.Context, now time.Time) (warnings []string, err error)
}

func (r *fileReader) name(b block, attribute, file string, check func(context.Context, time.Time) ([]string, error)) {
	if file != "" {
		r.files = append(r.files, namedFile{at: b.where(attribute), name: file, check: check})
	}
}

func (r *fileReader) nameClusterFiles(b block, c Cluster) {
	r.name(b, "jwks_file", c.JWKSFile, func(ctx context.Context, _ time.Time) ([]string, error) {
		set, err := jwks.File(c.JWKSFile).Fetch(ctx)
		if err != nil {
			return nil, err
		}
		var warnings []string
		for _, k := range set.Skipped {
			warnings = append(warnings, fmt.Sprintf("left out: %v", k))
		}
		return append(warnings, set.Warnings...), nil
	})
	r.nameTLSFiles(b, c.TLS)
}

func (r *fileReader) nameTLSFiles(b block, t jwks.TLS) {
	r.name(b, "ca_cert", t.CACert, func(_ context.Context, now time.Time) ([]string, error) {
		if _, err := (jwks.TLS{CACert: t.CACert}).HTTPClient(); err != nil {
			return nil, err
		}
		return expiries(t.CACert, now), nil
	})
	r.name(b, "ca_path", t.CAPath, func(context.Context, time.Time) ([]string, error) {
		_, err := (jwks.TLS{CAPath: t.CAPath}).HTTPClient()
		return nil, err
	})
	if t.ClientCert == "" || t.ClientKey == "" {
		return // a problem by itself
	}
	r.name(b, "client_cert", t.ClientCert, func(_ context.Context, now time.Time) ([]string, error) {
		if irregular(t.ClientKey) {
			return []string{notRead(t.ClientKey)}, nil
		}
		if _, err := tls.LoadX509KeyPair(t.ClientCert, t.ClientKey); err != nil {
			return nil, fmt.Errorf("client certificate %s with key %s: %w", t.ClientCert, t.ClientKey, err)
		}
		return expiries(t.ClientCert, now), nil
	})
	r.name(b, "client_key", t.ClientKey, nil) // client_cert's check reads it
	r.files[len(r.files)-1].credential = true
}

// nameCredentials names the files of an auth block.
func (r *fileReader) nameCredentials(b block) {
	for _, attribute := range []string{"token_file", "secret_id_file", "path"} {
		if !b.has(attribute) {
			continue
		}
		var file string
		if quiet := (block{new(hcl.Diagnostics), b.attrs, b.at}); !quiet.value(attribute, &file) || file == "" {
			continue // reported where it was read
		}
		r.name(b, attribute, file, func(ctx context.Context, _ time.Time) ([]string, error) {
			_, err := vaultapi.ReadTokenFile(ctx, file)
			return nil, err
		})
		r.files[len(r.files)-1].credential = true
	}
}

// maxCertificates bounds what is read of a file with certificates.
const maxCertificates = 16 << 20

// expiries tells of the certificates of a PEM file that aren't valid now. Servers refuse
// them, and which ones they need is theirs to say: so these are no errors.
func expiries(name string, now time.Time) []string {
	f, err := os.Open(name) //nolint:gosec // the operator names the file
	if err != nil {
		return nil // it was read a moment ago; anyone who uses it will say so
	}
	defer f.Close() //nolint:errcheck // only read
	rest, err := io.ReadAll(io.LimitReader(f, maxCertificates))
	if err != nil {
		return nil
	}
	var all []string
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
		case now.After(c.NotAfter):
			all = append(all, fmt.Sprintf("%s: the certificate of %q expired on %s", name, c.Subject, c.NotAfter.UTC().Format(time.DateOnly)))
		case now.Before(c.NotBefore):
			all = append(all, fmt.Sprintf("%s: the certificate of %q is not valid before %s", name, c.Subject, c.NotBefore.UTC().Format(time.DateOnly)))
		}
	}
	return all
}

// Problem is one thing that harvest config validate found.
type Problem struct {
	Line    int    `json:"line"` // from 1
	Column  int    `json:"column"`
	Message string `json:"message"`
}

// Validation is what came of checking a file.
type Validation struct {
	File     string    `json:"file"`
	Valid    bool      `json:"valid"`
	Errors   []Problem `json:"errors"`
	Warnings []Problem `json:"warnings"`
	Clusters int       `json:"clusters"`
	Vaults   int       `json:"vaults"`
	Mounts   int       `json:"mounts"`
	Relays   int       `json:"relays"`
}

// maxFileCheck bounds how long one file may take, such as a pipe that nobody writes to.
const maxFileCheck = 5 * time.Second

// Checking is how a configuration is checked.
type Checking struct {
	SkipFiles bool                // the files that it names are on another machine
	Now       time.Time           // when certificates have to be valid
	Getenv    func(string) string // for where the platform puts secrets
}

// Check finds every problem of a configuration file, and of the files that it names.
func Check(ctx context.Context, name string, src []byte, o Checking) *Validation {
	v := &Validation{File: name, Errors: []Problem{}, Warnings: []Problem{}}
	r, diags := readConfig(name, src)
	if r != nil {
		v.Clusters, v.Vaults, v.Mounts = len(r.config.Clusters), len(r.config.Vaults), len(r.config.Mounts)-r.config.Relays()
		v.Relays = r.config.Relays()
		for i, c := range r.config.Clusters {
			if len(r.config.Mounts) > 0 && !r.config.Uses(c.Name) {
				r.warn(r.places[i], "cluster %q is on no mount and no relay: nothing is done with its keys", c.Name)
			}
		}
		diags = append(diags, r.otherIssuers()...)
		for i, c := range r.config.Clusters {
			if j, ok := twin(r.config.Clusters, i); ok {
				r.warn(r.places[i], "cluster %q is read from the same place as %q in line %d: under two names each of its keys is trusted twice, "+
					"and what it drops under one stays under the other; keep one name, or name regions that differ", c.Name, r.config.Clusters[j].Name, r.places[j].Start.Line)
			}
		}
		if !o.SkipFiles {
			for _, f := range r.files {
				warnings, err := f.run(ctx, o.Now)
				if err != nil {
					diags = append(diags, problem(f.at, "%v", err))
				}
				for _, warning := range warnings {
					r.warn(f.at, "%s", warning)
				}
				if f.credential && err == nil && len(Exposed([]string{f.name}, o.Getenv)) > 0 {
					r.warn(f.at, "%s holds a credential, and every user of this machine can read it: chmod o-r %s", f.name, text.ShellQuote(f.name))
				}
			}
		}
		diags = append(diags, r.warnings...)
	}
	sortDiagnostics(diags)
	for _, d := range diags {
		p := Problem{Message: diagnosticText(d)}
		if d.Subject != nil {
			p.Line, p.Column = d.Subject.Start.Line, d.Subject.Start.Column
		}
		if d.Severity == hcl.DiagError {
			v.Errors = append(v.Errors, p)
		} else {
			v.Warnings = append(v.Warnings, p)
		}
	}
	v.Valid = len(v.Errors) == 0
	return v
}

// otherIssuers finds mounts that state a bound_issuer by which Vault would refuse every login of
// a cluster: one whose issuer the file states. An address for discovery may be that of tokens with
// other names as well, as at ADFS. That of a Nomad isn't known without asking it; harvest status
// -lint does.
func (r *fileReader) otherIssuers() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for i, m := range r.config.Mounts {
		bound := m.Options.Settings.BoundIssuer
		if bound == nil || *bound == "" {
			continue
		}
		for _, cluster := range r.config.Clusters {
			switch issuer := cluster.knownIssuer(); {
			case issuer == "" || issuer == *bound || !slices.Contains(m.Clusters, cluster.Name):
			case cluster.Issuer != "":
				diags = append(diags, problem(r.issuers[i], "bound_issuer = %q: the tokens of %s name %q, and their logins would be refused; give %s a mount of its own, or state \"\"",
					*bound, cluster.Name, issuer, cluster.Name))
			case !slices.Contains(jwtrole.Alternatives(issuer), *bound):
				r.warn(r.issuers[i], "bound_issuer = %q: the issuer of %s is %q; logins with tokens that name it are refused; compare it with the iss of a token (harvest verify)",
					*bound, cluster.Name, issuer)
			}
		}
	}
	return diags
}

// run checks a file within maxFileCheck.
func (f namedFile) run(ctx context.Context, now time.Time) ([]string, error) {
	if f.check == nil {
		return nil, nil
	}
	if irregular(f.name) {
		return []string{notRead(f.name)}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxFileCheck)
	defer cancel()
	return f.check(ctx, now)
}

// irregular reports whether a file is one whose reading may never end, such as a pipe.
func irregular(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

func notRead(name string) string { return name + " is no regular file: not read" }
