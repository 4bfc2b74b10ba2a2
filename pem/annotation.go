package pem

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Version is the version of the annotation that this package writes.
const Version = 1

// Owner is a cluster and one of its regions.
type Owner struct {
	Cluster string `json:"cluster"`
	Region  string `json:"region"` // "" is the agent's own region
}

// String returns "cluster" or "cluster/region".
func (o Owner) String() string {
	if o.Region == "" {
		return o.Cluster
	}
	return o.Cluster + "/" + o.Region
}

// Field is a field of an annotation that this version doesn't know.
type Field struct{ Name, Value string }

// Annotation is the line before a key that says whose it is. Its grammar:
//
//	line  = "harvest/" version *( " " name "=" value )
//	name  = lower-case letter, then lower-case letters, digits or "_"
//	value = a Go string in double quotes, of ASCII characters alone
//
// A name may occur once. "cluster" must occur, except on a placeholder, which has no owner, "kid"
// or "alg". Times are RFC 3339 in the years 0 to 9999 of UTC. Unknown fields are kept in their
// order, after the known ones.
type Annotation struct {
	// Version is 1, or a newer harvest's, whose keys must not be touched; then the other fields are
	// empty. 0 is written as 1 if there is an owner or a placeholder. Otherwise it means that there
	// is no annotation.
	Version int
	// Cluster and Region own the key.
	Cluster, Region string
	// Also are further owners that published the same key when it was written.
	Also []Owner
	// KeyID is the JWK's; "" if it has none.
	KeyID string
	// Algorithms are the JWK's, as a set: the one that is written as "alg", then the others,
	// sorted. If there are several, "algs" has all of them, sorted by their bytes. Empty if it has
	// none.
	Algorithms []string
	// Adopted marks a key that was trusted, and had no owner, before its owner published it.
	Adopted bool
	// Added is when the key came to be trusted, in whole milliseconds; zero: unknown.
	Added time.Time
	// Missing is when the key was first seen to be no longer published. Zero: it was published when
	// it was last checked.
	Missing time.Time
	// Placeholder marks a key that nobody can sign with, there only because Vault
	// takes no empty list. It has no owner.
	Placeholder bool
	// Unknown fields, as they were read.
	Unknown []Field
}

var errAnnotation = errors.New("not an annotation")

// IsZero reports whether there is no annotation.
func (a Annotation) IsZero() bool { return a.Version == 0 && a.Cluster == "" && !a.Placeholder }

// Newer reports whether the annotation was written by a newer harvest.
func (a Annotation) Newer() bool { return a.Version > Version }

// Owner returns the cluster and region.
func (a Annotation) Owner() Owner { return Owner{a.Cluster, a.Region} }

// Owners returns Owner and then Also.
func (a Annotation) Owners() []Owner { return append([]Owner{a.Owner()}, a.Also...) }

// algorithm returns the first of Algorithms, or "".
func (a Annotation) algorithm() string {
	if len(a.Algorithms) == 0 {
		return ""
	}
	return a.Algorithms[0]
}

// MarshalText returns the line without a line feed: ASCII, times in UTC with whole milliseconds. A
// newer annotation is an error. So is one that the grammar excludes: no cluster and no placeholder,
// a field twice, or several algorithms of which one is empty or has a blank.
func (a Annotation) MarshalText() ([]byte, error) { return a.appendLine(nil) }

// appendLine is MarshalText, appending to line.
func (a Annotation) appendLine(line []byte) ([]byte, error) {
	if a.Version != Version && a.Version != 0 {
		return nil, fmt.Errorf("annotation of version %d can't be written", a.Version)
	}
	if !a.owned() {
		return nil, errors.New("annotation needs a cluster, or must be a placeholder without owner, kid and alg")
	}
	line = strconv.AppendInt(append(line, "harvest/"...), Version, 10)
	put := func(name, value string) {
		line = append(append(append(line, ' '), name...), '=')
		line = strconv.AppendQuoteToASCII(line, value)
	}
	if a.Placeholder {
		put("placeholder", "true")
	} else {
		put("cluster", a.Cluster)
		put("region", a.Region)
		if len(a.Also) > 0 {
			also, err := formatOwners(a.Also)
			if err != nil {
				return nil, err
			}
			put("also", also)
		}
		put("kid", a.KeyID)
		algs, err := formatAlgorithms(a.Algorithms)
		if err != nil {
			return nil, err
		}
		put("alg", a.algorithm())
		if algs != "" {
			put("algs", algs)
		}
		if a.Adopted {
			put("adopted", "true")
		}
	}
	for _, day := range []struct {
		name string
		time time.Time
	}{{"added", a.Added}, {"missing", a.Missing}} {
		switch t := wholeMilliseconds(day.time); {
		case t.IsZero():
		case !inCalendar(t):
			return nil, fmt.Errorf("annotation: %s in the year %d can't be written", day.name, t.Year())
		default:
			put(day.name, t.Format(time.RFC3339Nano))
		}
	}
	written := map[string]bool{}
	for _, f := range a.Unknown {
		if !isName(f.Name) || known(f.Name) {
			return nil, fmt.Errorf("annotation: %q is no name for an unknown field", f.Name)
		}
		if written[f.Name] {
			return nil, fmt.Errorf("annotation: field %s twice", f.Name)
		}
		written[f.Name] = true
		put(f.Name, f.Value)
	}
	return line, nil
}

// UnmarshalText reads a line without its line feed. A line that isn't an annotation of
// version 1 or newer is an error: its key is foreign.
func (a *Annotation) UnmarshalText(line []byte) error {
	rest, ok := strings.CutPrefix(string(line), "harvest/")
	if !ok {
		return errAnnotation
	}
	number, _, _ := strings.Cut(rest, " ")
	version, err := strconv.ParseUint(number, 10, 31)
	if err != nil || version == 0 || number[0] == '0' {
		return fmt.Errorf("%w: version %q", errAnnotation, number)
	}
	if version > Version {
		*a = Annotation{Version: int(version)}
		return nil
	}
	if strings.ContainsFunc(rest, notPrintableASCII) {
		return fmt.Errorf("%w: characters that version 1 escapes", errAnnotation)
	}
	parsed := Annotation{Version: Version}
	seen := map[string]bool{}
	var alg, algs string
	for rest = rest[len(number):]; rest != ""; {
		name, value, after, err := cutField(rest)
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("%w: field %s twice", errAnnotation, name)
		}
		seen[name] = true
		switch name {
		case "alg":
			alg = value
		case "algs":
			algs = value
		default:
			if err := parsed.set(name, value); err != nil {
				return err
			}
		}
		rest = after
	}
	parsed.Algorithms = readAlgorithms(alg, algs)
	if !parsed.owned() {
		return fmt.Errorf("%w: no cluster, or a placeholder's", errAnnotation)
	}
	*a = parsed
	return nil
}

// owned reports whether a key has an owner and a placeholder has none.
func (a Annotation) owned() bool {
	if a.Placeholder {
		return !a.Adopted && a.Cluster+a.Region+a.KeyID == "" && len(a.Also)+len(a.Algorithms) == 0
	}
	return a.Cluster != ""
}

func isAnnotation(line string) bool {
	line, _, _ = strings.Cut(line, "\n")
	return new(Annotation).UnmarshalText([]byte(strings.TrimSuffix(line, "\r"))) == nil
}

// cutField takes ` name="value"` off the front of s.
func cutField(s string) (name, value, rest string, err error) {
	name, quoted, ok := strings.Cut(s[1:], "=")
	if s[0] != ' ' || !ok || !isName(name) || !strings.HasPrefix(quoted, `"`) {
		return "", "", "", errAnnotation
	}
	quoted, err = strconv.QuotedPrefix(quoted)
	if err != nil {
		return "", "", "", errAnnotation
	}
	value, err = strconv.Unquote(quoted)
	if err != nil {
		return "", "", "", errAnnotation
	}
	return name, value, s[1+len(name)+1+len(quoted):], nil
}

// fields are the names of version 1.
var fields = []string{"placeholder", "cluster", "region", "also", "kid", "alg", "algs", "adopted", "added", "missing"}

func known(name string) bool { return slices.Contains(fields, name) }

func (a *Annotation) set(name, value string) (err error) {
	switch name {
	case "placeholder":
		if value != "true" {
			return fmt.Errorf("%w: placeholder %q", errAnnotation, value)
		}
		a.Placeholder = true
	case "adopted":
		if value != "true" {
			return fmt.Errorf("%w: adopted %q", errAnnotation, value)
		}
		a.Adopted = true
	case "cluster":
		a.Cluster = value
	case "region":
		a.Region = value
	case "also":
		a.Also, err = parseOwners(value)
	case "kid":
		a.KeyID = value
	case "added":
		a.Added, err = parseTime(value)
	case "missing":
		a.Missing, err = parseTime(value)
	default:
		a.Unknown = append(a.Unknown, Field{name, value})
	}
	return err
}

func notPrintableASCII(r rune) bool { return r < ' ' || r > '~' }

func isName(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', i > 0 && (c == '_' || c >= '0' && c <= '9'):
		default:
			return false
		}
	}
	return s != ""
}

// Owners are separated by blanks, cluster from region by a slash: neither may stand in a
// cluster's name, and no blank in a region's.
func formatOwners(owners []Owner) (string, error) {
	var words []string
	for _, o := range owners {
		if o.Cluster == "" || strings.ContainsAny(o.Cluster, " /") || strings.Contains(o.Region, " ") {
			return "", fmt.Errorf("annotation: owner %q can't be written", o)
		}
		words = append(words, o.Cluster+"/"+o.Region)
	}
	return strings.Join(words, " "), nil
}

func parseOwners(s string) ([]Owner, error) {
	var owners []Owner
	for word := range strings.SplitSeq(s, " ") {
		cluster, region, ok := strings.Cut(word, "/")
		if !ok || cluster == "" {
			return nil, fmt.Errorf("%w: also %q", errAnnotation, s)
		}
		owners = append(owners, Owner{cluster, region})
	}
	return owners, nil
}

// formatAlgorithms returns the value of "algs"; "" where "alg" says it all.
func formatAlgorithms(algs []string) (string, error) {
	for _, alg := range algs {
		if alg == "" || len(algs) > 1 && strings.Contains(alg, " ") {
			return "", fmt.Errorf("annotation: algorithm %q can't be written", alg)
		}
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(algs)))
	if len(sorted) < 2 {
		return "", nil
	}
	return strings.Join(sorted, " "), nil
}

// readAlgorithms is the reverse. A harvest that doesn't know "algs" keeps it as it is and
// corrects "alg", which therefore counts: without an "alg" the key is limited to none.
func readAlgorithms(alg, algs string) []string {
	switch {
	case alg == "":
		return nil
	case strings.Contains(alg, " "):
		return []string{alg}
	}
	others := slices.DeleteFunc(strings.Split(algs, " "), func(s string) bool { return s == "" || s == alg })
	slices.Sort(others)
	return append([]string{alg}, slices.Compact(others)...)
}

func wholeMilliseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// inCalendar reports whether RFC 3339 has four digits for the year of t.
func inCalendar(t time.Time) bool { return t.Year() >= 0 && t.Year() <= 9999 }

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if t = wholeMilliseconds(t); err != nil || t.IsZero() || !inCalendar(t) {
		return time.Time{}, fmt.Errorf("%w: time %q", errAnnotation, s)
	}
	return t, nil
}
