package relay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/files"
	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// The files of a relay.
const (
	stateFile     = "keys.pem"
	keySetFile    = "jwks.json"
	discoveryFile = ".well-known/openid-configuration"
)

// ErrState: keys.pem holds what harvest didn't write for these clusters. It is left as it is, and
// nothing of it is published.
var ErrState = errors.New("keys.pem is refused")

// FilesError is what keeps a relay from reading or writing its files. Metrics and log have its
// kind.
type FilesError struct{ Err error }

// Error returns what Err says.
func (e *FilesError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *FilesError) Unwrap() error { return e.Err }

// Kind returns the word for metrics.
func (*FilesError) Kind() string { return "files" }

// Read returns the elements of keys.pem, none where there is no such file yet. A relay has no
// foreign and no claimed keys: the error wraps [ErrState] where there is an element that harvest
// didn't write, or not for the relay's clusters or those that it retires. Then nothing is written.
func (r *Relay) Read(context.Context) ([]string, error) {
	list, err := r.read()
	r.unreadable.Store(err != nil)
	return list, ofFiles(err)
}

func ofFiles(err error) error {
	if err == nil {
		return nil
	}
	return &FilesError{err}
}

func (r *Relay) read() ([]string, error) {
	d, err := openDirectory(r.Dir)
	if err != nil {
		return nil, err
	}
	defer d.close()
	data, err := d.read(stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		r.listed = nil
		return nil, r.mayBegin(d)
	}
	if err != nil {
		return nil, r.fault(stateFile, err)
	}
	list, elements, err := r.parse(string(data))
	if err != nil {
		return nil, r.refuse(err)
	}
	r.listed, r.written = elements, true
	return list, nil
}

// parse returns the elements of a state file, or why harvest didn't write it.
func (r *Relay) parse(text string) ([]string, []plan.Element, error) {
	list, err := split(text)
	if err != nil {
		return nil, nil, err
	}
	elements := plan.Read(list)
	for i, e := range elements {
		if err := r.own(e); err != nil {
			return nil, nil, fmt.Errorf("element %d %w", i+1, err)
		}
	}
	return list, elements, nil
}

// mayBegin refuses a directory without a keys.pem in which other files of these names stand: they
// would be overwritten, and are somebody else's.
func (r *Relay) mayBegin(d *directory) error {
	if r.written {
		return nil // somebody took keys.pem away while harvest ran
	}
	for _, name := range []string{keySetFile, discoveryFile} {
		if d.has(name) {
			return fmt.Errorf("%s has a %s and no %s: not written by harvest, so nothing is touched; give the relay a directory of its own, "+
				"or move that file away", r.Dir, name, stateFile)
		}
	}
	return nil
}

func (r *Relay) refuse(err error) error {
	return fmt.Errorf("%w: %s: %w; nothing was changed: take that out, or move the file away to begin with what the clusters publish",
		ErrState, filepath.Join(r.Dir, stateFile), err)
}

func (r *Relay) fault(name string, err error) error {
	return fmt.Errorf("%s: %w", filepath.Join(r.Dir, name), err)
}

// own returns what is wrong with an element that harvest can't have written for this relay.
func (r *Relay) own(e plan.Element) error {
	a := e.Block.Annotation
	switch {
	case e.Opaque:
		return errors.New("holds no key that can be read")
	case a.IsZero():
		return fmt.Errorf("(%s) has no annotation: harvest didn't write it", e.Fingerprint.Short())
	case a.Newer():
		return fmt.Errorf("(%s) was written by a newer harvest (harvest/%d)", e.Fingerprint.Short(), a.Version)
	case a.Placeholder:
		return fmt.Errorf("(%s) stands in for an empty list, which a relay doesn't need", e.Fingerprint.Short())
	}
	for _, owner := range a.Owners() {
		if !slices.Contains(r.Clusters, owner.Cluster) && !rule.Names(r.Rules.Retired, owner) {
			return fmt.Errorf("(%s) is a key of %s, which this relay doesn't publish; a cluster that was taken away is named in retired, so that its keys go",
				e.Fingerprint.Short(), owner)
		}
	}
	return nil
}

// split returns the elements of a list of PEM blocks, each with the text before it.
func split(text string) ([]string, error) {
	var list []string
	var element strings.Builder
	for part := range strings.Lines(text) {
		element.WriteString(part)
		if strings.HasPrefix(part, "-----END ") {
			list = append(list, strings.Trim(element.String(), "\r\n"))
			element.Reset()
		}
	}
	if strings.TrimSpace(element.String()) != "" {
		return nil, errors.New("there is text after the last key")
	}
	return list, nil
}

// Planned serves at once what a plan leaves of the list: what it removes is served no more,
// whatever becomes of the files, and what it adds waits for [Relay.Write]. Where nothing is to be
// written, it mends documents that aren't what the list says.
func (r *Relay) Planned(ctx context.Context, p *plan.Plan) error {
	if !r.written { // nothing is known: served is what was never there
		if !p.Changed && len(p.Failed) == 0 { // all clusters were read, and the rules leave nothing
			return r.Write(ctx, p)
		}
		return nil
	}
	if err := r.serve(r.vouched(p, nil)); err != nil {
		return err
	}
	if p.Changed {
		return nil
	}
	return ofFiles(r.mend())
}

// vouched returns those elements of a plan that may be served: what is served already, what
// clusters publish now, and what is added. What somebody wrote into keys.pem meanwhile, under the
// name of a cluster that can't be asked, isn't among them. Where nothing is served yet, it is all
// that was read: as after a restart.
func (r *Relay) vouched(p *plan.Plan, added []plan.Key) []plan.Element {
	known := r.listed
	if now := r.served.Load(); now != nil {
		known = now.elements
	}
	may := map[pem.Fingerprint]bool{}
	for _, e := range known {
		may[e.Fingerprint] = true
	}
	for _, k := range p.Keep {
		may[k.Fingerprint] = may[k.Fingerprint] || k.Reason == plan.ReasonPublished
	}
	for _, k := range added {
		may[k.Fingerprint] = true
	}
	return slices.DeleteFunc(plan.Read(p.Next), func(e plan.Element) bool { return !may[e.Fingerprint] })
}

// mend makes the documents on disk what is served.
func (r *Relay) mend() error {
	d, err := openDirectory(r.Dir)
	if err != nil {
		return err
	}
	defer d.close()
	return r.writeDocuments(d)
}

// Write makes the files what the plan says: keys.pem first, so that a run that is cut short is
// finished by the next one. The set is served as soon as the file system has taken keys.pem, and
// doesn't wait until that would survive a power cut.
func (r *Relay) Write(_ context.Context, p *plan.Plan) error { return ofFiles(r.write(p)) }

func (r *Relay) write(p *plan.Plan) error {
	d, err := openDirectory(r.Dir)
	if err != nil {
		return r.unwritten(err)
	}
	defer d.close()
	var state strings.Builder
	for _, element := range p.Next {
		state.WriteString(element)
		state.WriteByte('\n')
	}
	staged, err := files.Stage(d.root, stateFile, []byte(state.String()))
	if err != nil {
		return r.unwritten(r.fault(stateFile, err))
	}
	unserved := r.serve(r.vouched(p, p.Add))
	if err := staged.Commit(true); err != nil {
		return r.fault(stateFile, err)
	}
	if unserved != nil {
		return unserved
	}
	r.listed, r.written = plan.Read(p.Next), true
	return r.writeDocuments(d)
}

// unwritten says what is served although the files aren't what they should be.
func (r *Relay) unwritten(err error) error {
	return fmt.Errorf("%w; the files stay as they were: keys that go are served no more, and keys that come wait for the disk", err)
}

// writeDocuments makes the documents on disk what is served, where they are anything else.
func (r *Relay) writeDocuments(d *directory) error {
	now := r.served.Load()
	documents := []struct {
		name string
		*document
	}{{keySetFile, &now.keys}, {discoveryFile, now.discovery}}
	for _, doc := range documents {
		if doc.document == nil {
			if err := d.removeDiscovery(); err != nil {
				return r.fault(doc.name, err)
			}
			continue
		}
		if data, err := d.read(doc.name); err == nil && string(data) == string(doc.body) {
			continue
		}
		if err := d.replace(doc.name, doc.body); err != nil {
			return r.fault(doc.name, err)
		}
	}
	return nil
}
