package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
)

// MaxFile bounds a configuration file, in bytes.
const MaxFile = 1 << 20

const (
	maxConfigDepth  = 16 // braces and brackets within each other
	maxConfigErrors = 20 // that are shown
)

// ReadFile returns a file of 1 MiB at most.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // the operator names the file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("configuration: %w: name the file that is there, or begin with `harvest config init -out %s`", err, text.ShellQuote(name))
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	src, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(src) > MaxFile {
		return nil, fmt.Errorf("configuration %s: larger than %d bytes", name, MaxFile)
	}
	return src, nil
}

// parseHCL returns the body of a file that holds nothing but blocks and plain values. What
// else HCL has, templates and operators and functions, is refused: nothing here needs it,
// and its parser recurses without bound.
func parseHCL(name string, src []byte) (*hclsyntax.Body, hcl.Diagnostics) {
	tokens, diags := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack:
			if depth++; depth > maxConfigDepth {
				return nil, hcl.Diagnostics{problem(t.Range, "nested more than %d deep", maxConfigDepth)}
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack:
			depth--
		case hclsyntax.TokenIdent, hclsyntax.TokenEqual, hclsyntax.TokenComma, hclsyntax.TokenNewline,
			hclsyntax.TokenComment, hclsyntax.TokenEOF, hclsyntax.TokenNumberLit, hclsyntax.TokenOQuote,
			hclsyntax.TokenCQuote, hclsyntax.TokenQuotedLit, hclsyntax.TokenOHeredoc, hclsyntax.TokenCHeredoc,
			hclsyntax.TokenStringLit:
		default:
			return nil, hcl.Diagnostics{problem(t.Range, "%q: write plain values; expressions are not supported (a literal \"${\" is written \"$${\")", t.Bytes)}
		}
	}
	file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	return file.Body.(*hclsyntax.Body), nil //nolint:errcheck // ParseConfig promises it
}

func problem(at hcl.Range, format string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf(format, args...), Subject: &at}
}

// configError returns the problems as one error with a line for each, in the order of the
// file, or nil.
func configError(diags hcl.Diagnostics) error {
	sortDiagnostics(diags)
	var all []error
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		if len(all) == maxConfigErrors {
			all = append(all, errors.New("and more"))
			break
		}
		text := diagnosticText(d)
		if d.Subject != nil {
			text = fmt.Sprintf("%s:%d:%d: %s", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column, text)
		}
		all = append(all, errors.New(text))
	}
	return errors.Join(all...)
}

// sortDiagnostics puts them in the order of the file.
func sortDiagnostics(diags hcl.Diagnostics) {
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int { return cmp.Compare(offset(a), offset(b)) })
}

// diagnosticText returns a problem without its place. What the file says is quoted by some
// problems as it stands.
func diagnosticText(d *hcl.Diagnostic) string {
	if d.Detail == "" {
		return text.Escape(d.Summary)
	}
	return text.Escape(d.Summary + ": " + d.Detail)
}

func offset(d *hcl.Diagnostic) int {
	if d.Subject == nil {
		return 0
	}
	return d.Subject.Start.Byte
}

// block reads the attributes of one block; what is wrong goes to diags, with its place.
type block struct {
	diags *hcl.Diagnostics
	attrs hcl.Attributes
	at    hcl.Range // of its header
}

// blockKubernetes is the block that has no label.
const blockKubernetes = "kubernetes"

// open checks that a block with its header at a place holds these attributes and blocks
// only. The blocks have one label, but for blockKubernetes.
func open(body hcl.Body, at hcl.Range, diags *hcl.Diagnostics, attributes []string, blocks ...string) (block, hcl.Blocks) {
	schema := &hcl.BodySchema{}
	for _, name := range attributes {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	for _, name := range blocks {
		labels := []string{"name"}
		if name == blockKubernetes {
			labels = nil
		}
		schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: name, LabelNames: labels})
	}
	content, more := body.Content(schema)
	*diags = append(*diags, more...)
	return block{diags, content.Attributes, at}, content.Blocks
}

func (b block) problem(name, format string, args ...any) {
	*b.diags = append(*b.diags, problem(b.where(name), format, args...))
}

func (b block) has(name string) bool { return b.attrs[name] != nil }

// where returns the place of an attribute, or of the block's header where there is none.
func (b block) where(name string) hcl.Range {
	if a := b.attrs[name]; a != nil {
		return a.Range
	}
	return b.at
}

// value decodes an attribute into what v points to, and reports whether it is there and fits.
func (b block) value(name string, v any) bool {
	a := b.attrs[name]
	if a == nil {
		return false
	}
	value, more := a.Expr.Value(nil)
	if !more.HasErrors() {
		if err := decode(value, v); err != nil {
			more = append(more, problem(a.Expr.Range(), "%s: %v", name, err))
		}
	}
	*b.diags = append(*b.diags, more...)
	return !more.HasErrors()
}

func decode(value cty.Value, v any) error {
	if value.IsNull() || !value.IsWhollyKnown() || hasNull(value) {
		return errors.New("null is no value; leave the attribute out")
	}
	want, err := gocty.ImpliedType(v)
	if err == nil {
		value, err = convert.Convert(value, want)
	}
	if err != nil {
		return err
	}
	return gocty.FromCtyValue(value, v)
}

func hasNull(v cty.Value) bool {
	null := false
	_ = cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) {
		null = null || v.IsNull()
		return !v.IsNull(), nil
	})
	return null
}

// text returns a string that isn't empty; "" where there is none.
func (b block) text(name string) string {
	var s string
	if b.value(name, &s) && s == "" {
		b.problem(name, "%s is empty; leave it out instead", name)
	}
	return s
}

// texts returns a list of strings, each once.
func (b block) texts(name string) []string {
	var list []string
	if !b.value(name, &list) {
		return nil
	}
	seen := map[string]bool{}
	for i, s := range list {
		if seen[s] {
			*b.diags = append(*b.diags, problem(b.element(name, i), "%s names %q twice", name, s))
		}
		seen[s] = true
	}
	return list
}

// element returns the place of a list's element.
func (b block) element(name string, i int) hcl.Range {
	if list, diags := hcl.ExprList(b.attrs[name].Expr); !diags.HasErrors() && i < len(list) {
		return list[i].Range()
	}
	return b.where(name)
}

// textMap returns an object of strings.
func (b block) textMap(name string) map[string]string {
	var m map[string]string
	b.value(name, &m)
	return m
}

func (b block) flag(name string) bool {
	var v bool
	b.value(name, &v)
	return v
}

// count returns a whole number from 1 to maxCount; 0 where there is none.
func (b block) count(name string) int {
	var n int
	if b.value(name, &n) && (n < 1 || n > maxCount) {
		b.problem(name, "%s = %d: want a number from 1 to %d", name, n, maxCount)
	}
	return n
}

// maxCount bounds numbers of things: more keys than Vault's storage holds.
const maxCount = 10_000

func (b block) duration(name string) time.Duration {
	var s string
	if !b.value(name, &s) {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		b.problem(name, "%s = %q: want a duration such as \"90s\" or \"1h\"", name, s)
		return 0
	}
	return d
}

// fingerprints returns a list of whole fingerprints; an empty one is refused.
func (b block) fingerprints(name string) []pem.Fingerprint {
	var all []pem.Fingerprint
	list := b.texts(name)
	for i, s := range list {
		f, err := pem.ParseFingerprint(s)
		if err != nil {
			*b.diags = append(*b.diags, problem(b.element(name, i), "%s: %v", name, err))
			continue
		}
		all = append(all, f)
	}
	if b.has(name) && len(list) == 0 {
		b.problem(name, "%s is empty; name a key or leave it out", name)
	}
	return all
}
