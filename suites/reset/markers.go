package reset

import (
	"fmt"

	"rigor/harness/canary"
	"rigor/harness/check"
)

// marked are the markers of a run: for each store one for each time that an owner
// comes, so that what the one had can be told from what the next has.
type marked struct {
	set    *canary.Set
	values []map[string]string // of each time, by store
	why    map[string]string   // why a store has none
	names  []string            // of somebody who fails to log in before each reset
}

// never is the name of a marker that is put nowhere: the search says no to it.
const never = "what was never put anywhere"

// nameOf is how the marker of a store is called in reports.
func nameOf(store string, time int) string {
	if time == 0 {
		return "the first owner's " + store
	}
	return fmt.Sprintf("the %s of the owner behind reset %d", store, time)
}

// loggedName is how the name is called in reports that failed to log in before a reset.
func loggedName(reset int) string {
	return fmt.Sprintf("the name that failed to log in before reset %d", reset)
}

// draw makes markers for every store that takes one, for each of so many owners.
func draw(t *check.T, owners int) *marked {
	m := &marked{why: map[string]string{}}
	form, err := canary.FormOf("", 0)
	t.OK(err)
	list := []canary.Marker{form.Marker(never, t.Draw("never", form.Alphabet, form.Length))}
	for n := range owners {
		m.names = append(m.names, t.Draw(fmt.Sprintf("log/%d", n), form.Alphabet, form.Length))
		list = append(list, form.Marker(loggedName(n+1), m.names[n]))
		values := map[string]string{}
		for _, name := range storeNames(t.Profile()) {
			s := t.Profile().Stores.Items[name]
			if s == nil || s.Declared() || len(s.Plant) == 0 {
				continue
			}
			form, err := canary.FormOf(s.Alphabet, s.Length)
			if err != nil {
				m.why[name] = err.Error()
				continue
			}
			values[name] = t.Draw(fmt.Sprintf("store/%s/%d", name, n), form.Alphabet, form.Length)
			list = append(list, form.Marker(nameOf(name, n), values[name]))
		}
		m.values = append(m.values, values)
	}
	m.set = canary.NewSet(list...)
	return m
}
