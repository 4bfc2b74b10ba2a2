package plan

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	stdpem "encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// choices turns fuzzed bytes into decisions.
type choices struct{ fakekeys.Choices }

func (c *choices) name() string { return c.Of(allNames...) }

func (c *choices) owner() string { return c.Of("a", "a/r1", "a/r2", "b", "b/r1", "old", "z", "z/r1") }

// day is some time around now, or none.
func (c *choices) day() time.Time {
	day := []time.Duration{-24 * time.Hour, -2 * time.Hour, -time.Hour, -time.Second, 0, 30 * time.Second, 2 * time.Hour, 365 * 24 * time.Hour}
	if i := c.Pick(len(day) + 1); i < len(day) {
		return now.Add(day[i])
	}
	return time.Time{}
}

// scene is what a plan is made of.
type scene struct {
	list  []string
	want  Desired
	rules Rules
}

// String shows a scene that a plan failed on.
func (s scene) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "clusters %v, rules %+v\n", s.want.Clusters, s.rules)
	for _, r := range s.want.Results {
		fmt.Fprintf(&b, "%s/%s, asked %v: %v", r.Cluster, r.Region, r.Asked, r.Err)
		if r.Set != nil {
			for _, k := range r.Set.Keys {
				fmt.Fprintf(&b, " %s as %s %s,", of(k).Short(), k.KeyID, k.Algorithms)
			}
		}
		b.WriteByte('\n')
	}
	for _, e := range Read(s.list) {
		fmt.Fprintf(&b, "%s %.300q\n", e.Fingerprint.Short(), e.Text)
	}
	return b.String()
}

// draw makes a scene out of choices. raw is text that stands in various places of an element.
func draw(c *choices, raw string) scene {
	s := scene{rules: drawRules(c)}
	for range c.Pick(7) {
		// Vault drops the white space around an element.
		s.list = append(s.list, strings.TrimSpace(drawElement(c, raw)))
	}
	s.want.Clusters = [][]string{{"a", "b"}, {"b", "a"}, {"a"}}[c.Pick(3)]
	for _, owner := range []string{"a", "a/r1", "a/r2", "a/*", "b", "b/r1", "z"} {
		if r, ok := drawResult(c, owner); ok {
			s.want.Results = append(s.want.Results, r)
		}
	}
	return s
}

func drawRules(c *choices) Rules {
	r := Rules{Now: now, Retain: []time.Duration{0, time.Hour, 90 * time.Minute}[c.Pick(3)]}
	r.Foreign = []Foreign{"", ForeignKeep, ForeignRemove, ForeignRemove}[c.Pick(4)]
	for range c.Pick(3) {
		r.Retired = append(r.Retired, c.Of("old", "a/r2", "a/", "z", "b/r1", "a/x y", "old/x y", "z/r1"))
	}
	if c.Rarely(3) {
		r.Deny = deny(c.name(), c.name())
	}
	if c.Rarely(3) {
		r.Pin = map[string][]pem.Fingerprint{c.Of("a", "b"): deny(c.name(), c.name())}
	}
	if c.Rarely(3) {
		r.AllowTurnover = []string{c.Of("*", "a", "a/r1", "b", "b/")}
	}
	r.MaxKeys = []int{0, 0, 1, 2, 3}[c.Pick(5)]
	r.MaxSize, r.Size = []int{maxSize, maxSize, 0, 3000}[c.Pick(4)], c.Pick(2)*1000
	r.Algorithms = strings.Fields(c.Of("", "", "EdDSA", "RS256 PS256", "EdDSA RS256", "PS512"))
	if c.Rarely(2) {
		r.LeaveOut = "left out"
	}
	r.AllowEmpty = c.Rarely(4)
	return r
}

// drawResult makes what a cluster or region gave; false: nothing is said of it.
func drawResult(c *choices, owner string) (jwks.Result, bool) {
	var r jwks.Result
	kind := c.Pick(6)
	switch {
	case kind == 0 || owner == "a/*" && kind > 1:
		return r, false
	case kind == 1:
		r = down(owner)
	default:
		var names []string
		for range c.Pick(5) {
			if n := c.name(); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		r = publish(owner, names...)
		r.Set.Unindexed = c.Rarely(4)
		if len(names) > 0 && c.Rarely(8) {
			r.Set.Keys[0].KeyID, r.Set.Keys[0].Algorithms = "another", nil
		}
		if len(names) > 0 && c.Rarely(8) {
			r.Set.Keys[0].Algorithms = strings.Fields(c.Of("Ed25519 EdDSA", "EdDSA", "Ed25519", "EdDSA Ed25519"))
		}
	}
	if c.Rarely(4) {
		r.Asked = c.day()
	}
	return r, true
}

// drawElement makes an element of the list: ours, another harvester's, somebody's by hand,
// or anything at all.
func drawElement(c *choices, raw string) string {
	switch c.Pick(18) {
	case 0:
		return paste(c.name())
	case 1:
		return c.Of("harvest/2 x", "harvest/17", "harvest/3 "+strings.ReplaceAll(raw, "\n", " ")) + "\n" + paste(c.name())
	case 2:
		return trust(c.owner(), c.name(), missing(c.day()), added(c.day()))
	case 3:
		return trust(c.owner(), c.name(), also(c.owner(), c.owner()))
	case 4:
		return drawNoKey(c, raw)
	case 5:
		return c.Of(raw, raw+"\n"+paste(c.name()), raw+paste(c.name()), paste(c.name())+raw, "harvest/1 "+raw+"\n"+paste(c.name()))
	case 6: // somebody else's annotation, or one by hand
		return "harvest/1 cluster=" + c.Of(`"a"`, `"b"`, `"z"`, `"old"`, `"a b"`, `"\u00fc"`, `"a/r1"`) + ` region=` + c.Of(`"r r"`, `"*"`, `"r1/x"`, `""`, `"\n"`) +
			c.Of("", ` also="b/r1 a/r2"`, ` also="a/* b/x/y"`) + "\n" + paste(c.name())
	case 7:
		return trust(c.owner(), c.name(), func(b *pem.Block) {
			b.Annotation.Unknown = []pem.Field{{Name: "note", Value: raw}, {Name: "x_1"}}
			b.Comment = "pasted by Ann"
		})
	case 15:
		return trust(c.owner(), c.name(), adopted, missing(c.day()), added(c.day()))
	case 8:
		return trust(c.owner(), c.name(), func(b *pem.Block) { b.Annotation.KeyID, b.Annotation.Algorithms = raw, nil })
	case 13:
		return trust(c.owner(), c.name(), func(b *pem.Block) {
			b.Annotation.Algorithms = strings.Fields(c.Of("RS256 PS256", "EdDSA", "PS256 RS256 RS512"))
		})
	case 9:
		return certificates()[c.name()]
	case 10:
		return c.Of("note", "two\nlines", "harvest/1", "\n\nx") + "\n" + paste(c.name())
	case 11:
		return strings.ReplaceAll(trust(c.owner(), c.name()), "\n", "\r\n") + c.Of("", "\n", "\r\n", "  ")
	case 14: // a region whose name harvest doesn't write, or takes for another's
		return trust(c.Of("old/x y", "a/x y", "z/x y", "old/y z", "a/x/y", "b/ ", "old/*"), c.name(), added(c.day()))
	case 12:
		return trust("a", c.name(), func(b *pem.Block) { b.Annotation = pem.Annotation{Version: pem.Version, Placeholder: true} })
	default:
		return trust(c.owner(), c.name(), added(c.day()))
	}
}

// privateText is a private key in the list, where somebody put it.
var privateText = string(stdpem.EncodeToMemory(&stdpem.Block{Type: "PRIVATE KEY", Bytes: []byte(strings.Repeat("private", 7))}))

// drawNoKey makes an element that holds no key to Vault or to harvest.
func drawNoKey(c *choices, raw string) string {
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(9), 2047, 1), E: 65537})
	switch c.Pick(6) {
	case 0:
		return "junk"
	case 1:
		return string(stdpem.EncodeToMemory(&stdpem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}))
	case 2:
		return paste(c.name()) + "\n" + paste(c.name())
	case 3:
		return privateText
	case 4:
		if !c.Rarely(32) {
			return ""
		}
		return strings.Repeat("x", maxSize/2+len(raw))
	default:
		return trust(c.owner(), c.name()) + "\n" + raw
	}
}

// certificates are one for each name, made once.
var certificates = sync.OnceValue(func() map[string]string {
	made := map[string]string{}
	for _, name := range allNames {
		seed := sha256.Sum256([]byte(name))
		private := ed25519.NewKeyFromSeed(seed[:])
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: now}
		der, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
		if err != nil {
			panic(err)
		}
		made[name] = string(stdpem.EncodeToMemory(&stdpem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return made
})
