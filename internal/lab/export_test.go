package lab

import (
	"os"
	"path/filepath"
	"strings"
)

// Dir is the directory that a server keeps its files in.
func Dir(server any) string {
	switch s := server.(type) {
	case *Vault:
		return s.process.dir
	case *Nomad:
		return s.process.dir
	}
	panic("no server")
}

// Leftovers lists the processes, mounts and files of the server that has that directory:
// all of it, while it runs.
func Leftovers(dir string) []string {
	var out []string
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range procs {
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(f), "cwd"))
		cmdline, _ := os.ReadFile(f)
		if strings.Contains(string(cmdline), "lab-cleaner") {
			continue
		}
		if strings.HasPrefix(cwd, dir) || strings.Contains(string(cmdline), dir) {
			out = append(out, f+": "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			out = append(out, line)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		out = append(out, dir)
	}
	return out
}
