package main

import (
	"cmp"
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

	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// namedFile is a file that the configuration names. Whoever runs harvest finds out that it
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

func (r *fileReader) nameClusterFiles(b block, c clusterConfig) {
	r.name(b, "jwks_file", c.jwksFile, func(ctx context.Context, _ time.Time) ([]string, error) {
		set, err := jwks.File(c.jwksFile).Fetch(ctx)
		if err != nil {
			return nil, err
		}
		var warnings []string
		for _, k := range set.Skipped {
			warnings = append(warnings, fmt.Sprintf("left out: %v", k))
		}
		return append(warnings, set.Warnings...), nil
	})
	r.nameTLSFiles(b, c.tls)
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
		r.name(b, attribute, file, func(context.Context, time.Time) ([]string, error) {
			_, err := vaultsync.ReadTokenFile(file)
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
		return nil // it was read a moment ago; whoever uses it will say so
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

// configProblem is one thing that harvest config validate found.
type configProblem struct {
	Line    int    `json:"line"` // from 1
	Column  int    `json:"column"`
	Message string `json:"message"`
}

// validation is what came of a file.
type validation struct {
	File     string          `json:"file"`
	Valid    bool            `json:"valid"`
	Errors   []configProblem `json:"errors"`
	Warnings []configProblem `json:"warnings"`
	Clusters int             `json:"clusters"`
	Vaults   int             `json:"vaults"`
	Mounts   int             `json:"mounts"`
}

// maxFileCheck bounds how long one file may take, such as a pipe that nobody writes to.
const maxFileCheck = 5 * time.Second

// validate finds every problem of a configuration file, and of the files that it names
// unless these are to be passed over.
func (a *app) validate(ctx context.Context, name string, src []byte, files bool) *validation {
	v := &validation{File: name, Errors: []configProblem{}, Warnings: []configProblem{}}
	r, diags := readConfig(name, src)
	warn := func(at hcl.Range, format string, args ...any) {
		d := problem(at, format, args...)
		d.Severity = hcl.DiagWarning
		diags = append(diags, d)
	}
	if r != nil {
		v.Clusters, v.Vaults, v.Mounts = len(r.config.clusters), len(r.config.vaults), len(r.config.mounts)
		for i, c := range r.config.clusters {
			if len(r.config.mounts) > 0 && !r.config.uses(c.name) {
				warn(r.places[i], "cluster %q is on no mount: nothing is done with its keys", c.name)
			}
		}
		diags = append(diags, r.otherIssuers()...)
		for i, c := range r.config.clusters {
			if j, ok := twin(r.config.clusters, i); ok {
				warn(r.places[i], "cluster %q is read from the same place as %q in line %d: under two names each of its keys is trusted twice, "+
					"and what it drops under one stays under the other; keep one name, or name regions that differ", c.name, r.config.clusters[j].name, r.places[j].Start.Line)
			}
		}
		if files {
			for _, f := range r.files {
				warnings, err := f.run(ctx, a.now())
				if err != nil {
					diags = append(diags, problem(f.at, "%v", err))
				}
				for _, text := range warnings {
					warn(f.at, "%s", text)
				}
				if f.credential && err == nil && len(exposed([]string{f.name}, a.getenv)) > 0 {
					warn(f.at, "%s holds a credential, and every user of this machine can read it: chmod o-r %s", f.name, quote(f.name))
				}
			}
		}
	}
	sortDiagnostics(diags)
	for _, d := range diags {
		p := configProblem{Message: diagnosticText(d)}
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
// a cluster: one whose issuer the file names. That of a Nomad isn't known without asking it;
// harvest status -lint does.
func (r *fileReader) otherIssuers() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for i, m := range r.config.mounts {
		bound := m.options.Settings.BoundIssuer
		if bound == nil || *bound == "" {
			continue
		}
		for _, cluster := range r.config.clusters {
			if issuer := cluster.oidcIssuer; issuer != "" && issuer != *bound && slices.Contains(m.clusters, cluster.name) {
				diags = append(diags, problem(r.issuers[i], "bound_issuer = %q: the tokens of %s name %q, and their logins would be refused; give %s a mount of its own, or state \"\"",
					*bound, cluster.name, issuer, cluster.name))
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

// irregular says whether a file is one whose reading may never end, such as a pipe.
func irregular(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

func notRead(name string) string { return name + " is no regular file: not read" }

var wordStyles = map[string]terminal.Style{"error": terminal.Alarm, "warning": terminal.Yellow}

// printValidation writes a line for each problem, as compilers do, in the order of the
// file. None is broken up: editors read them.
func (o *output) printValidation(v *validation) {
	type line struct {
		configProblem
		word string
	}
	var lines []line
	for _, p := range v.Errors {
		lines = append(lines, line{p, "error"})
	}
	for _, p := range v.Warnings {
		lines = append(lines, line{p, "warning"})
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for _, l := range lines {
		o.Printf("%s:%d:%d: %s %s\n", printable(v.File), l.Line, l.Column, o.Paint(wordStyles[l.word], l.word+":"), l.Message)
	}
	if !v.Valid {
		o.Printf("%s: not valid: %d %s.\n", printable(v.File), len(v.Errors), plural(len(v.Errors), "error"))
		return
	}
	o.Printf("%s: valid: %d %s, %d %s, %d %s.\n", printable(v.File), v.Clusters, plural(v.Clusters, "cluster"),
		v.Vaults, plural(v.Vaults, "Vault"), v.Mounts, plural(v.Mounts, "mount"))
}
