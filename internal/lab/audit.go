package lab

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"
)

// AuditEntry is one request that a Vault took, refused ones included.
type AuditEntry struct {
	Time      time.Time
	Operation string // read, update, create, delete, list
	Path      string // auth/jwt-nomad/config
	Namespace string
}

var errNoAudit = errors.New("lab: this Vault was started without Audit, or takes no audit device from its API")

// String is the operation and the path.
func (e AuditEntry) String() string { return e.Operation + " " + e.Path }

// Audit returns the requests since the server started or since ResetAudit, oldest first.
// The Vault must have been started with Audit.
func (v *Vault) Audit() ([]AuditEntry, error) {
	if v.audit == "" {
		return nil, errNoAudit
	}
	f, err := os.Open(v.audit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var entries []AuditEntry
	s := bufio.NewScanner(f)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		var line struct {
			Type    string
			Time    time.Time
			Request struct {
				Operation, Path string
				Namespace       struct{ Path string }
			}
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			return nil, err
		}
		// The device's own first line, and the call that enabled it, are of no interest.
		if line.Type != "request" || strings.HasPrefix(line.Request.Path, "sys/audit") {
			continue
		}
		entries = append(entries, AuditEntry{
			Time: line.Time, Operation: line.Request.Operation, Path: line.Request.Path,
			Namespace: strings.Trim(line.Request.Namespace.Path, "/"),
		})
	}
	return entries, s.Err()
}

// ResetAudit forgets the requests so far.
func (v *Vault) ResetAudit() error {
	if v.audit == "" {
		return errNoAudit
	}
	return os.Truncate(v.audit, 0)
}
