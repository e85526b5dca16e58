package steps

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"strings"
	"time"

	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/update/smp"
	"rigor/harness/update/stream"
	"rigor/harness/update/xmodem"
	"rigor/harness/wire"
)

// maxCarried bounds what is read of a file that goes to the DUT.
const maxCarried = 1 << 30

// load reads a file of the rig that is to go to the DUT.
func (r *runner) load(text string) ([]byte, error) {
	path, err := r.fill(text)
	if err != nil {
		return nil, err
	}
	data, err := readFile(path, maxCarried)
	if err != nil {
		return nil, &wire.Fault{Part: "disk", Op: "read " + path, Err: err}
	}
	return data, nil
}

// upload puts a file of the rig into a request, as its body or as a field of a form.
func (r *runner) upload(s *profile.Step, req *login.Request) error {
	u := s.Upload
	data, err := r.load(u.File)
	if err != nil {
		return err
	}
	kind := u.Type
	if kind == "" {
		kind = "application/octet-stream"
	}
	req.Carried = func(n int64, last time.Time) { r.t.Carried(data, int(n), len(req.Body), last) }
	if u.Field == "" {
		req.Body = data
		setDefault(req.Header, "Content-Type", kind)
		return nil
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, k := range profile.SortedKeys(s.Form) {
		v, err := r.fill(s.Form[k])
		if err != nil {
			return err
		}
		if err := form.WriteField(k, v); err != nil {
			return fmt.Errorf("the form of the request: %w", err)
		}
	}
	name := u.Name
	if name == "" {
		name = firmwareName
	}
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf("form-data; name=%q; filename=%q", u.Field, name)}, "Content-Type": {kind}})
	if err == nil {
		_, err = part.Write(data)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return fmt.Errorf("the form of the request: %w", err)
	}
	req.Body = body.Bytes()
	req.Header["Content-Type"] = form.FormDataContentType()
	return nil
}

// firmwareName is what a DUT is told that wants a file's name.
const firmwareName = "firmware.bin"

// again asks for a page until it shows what is expected, or what must not be seen, or the
// step's time is over.
func (r *runner) again(ctx context.Context, s *profile.Step, ask func() error) error {
	for {
		err := ask()
		var no *StepError
		if s.Every == 0 || err == nil || !errors.As(err, &no) || no.Unanswered || no.forbidden || ctx.Err() != nil {
			return err
		}
		if werr := r.t.Wait(ctx, s.Every); werr != nil {
			return err // what was seen last says more
		}
	}
}

// serve has the rig serve a file from now on to the end of the steps.
func (r *runner) serve(ctx context.Context, s *profile.Step) error {
	data, err := r.load(s.Serve)
	if err != nil {
		return err
	}
	url, stop, err := r.t.Serve(ctx, data)
	if err != nil {
		return err
	}
	r.stops = append(r.stops, stop)
	r.vars["url"] = url
	return nil
}

// copy copies a file over a login of SSH. Only what the DUT shows that it has got has gone
// over.
func (r *runner) copy(ctx context.Context, s *profile.Step) error {
	data, err := r.load(s.Copy)
	if err != nil {
		return err
	}
	to, err := r.fill(s.To)
	if err != nil {
		return err
	}
	a, err := r.session(ctx, s)
	if err != nil {
		return r.notAnswered(ctx, s, "to be let in as the owner", err)
	}
	resp, err := a.Do(ctx, login.Request{Put: &login.Put{Data: data, To: to, By: s.By}, Within: s.Within})
	if err != nil {
		return r.notAnswered(ctx, s, "the file to be taken", err)
	}
	if resp.Status != 0 || resp.Arrived != len(data) {
		r.t.Carried(data, min(max(resp.Arrived, 0), len(data)-1), len(data), time.Now()) // whatever it says of it, it has not got all
		return r.failed(s, fmt.Sprintf("%d bytes in %s", len(data), to), fmt.Sprintf("%d bytes, status %d: %s", resp.Arrived, resp.Status, resp.Body))
	}
	r.t.Carried(data, len(data), len(data), time.Now())
	return nil
}

// transfer sends a file over a console, to who has been told to receive it.
func (r *runner) transfer(ctx context.Context, s *profile.Step) error {
	data, err := r.load(s.Transfer.File)
	if err != nil {
		return err
	}
	con, err := r.t.Talk(s.Transfer.Console)
	if err != nil {
		return err
	}
	over := stream.Over(con, r.at[s.Transfer.Console])
	o := xmodem.Options{Long: s.Transfer.Protocol != "xmodem", Settle: s.Transfer.Settle, Start: transferAnswer, Answer: transferAnswer}
	var rep xmodem.Report
	if s.Transfer.Protocol == "ymodem" {
		name := s.Transfer.Name
		if name == "" {
			name = firmwareName
		}
		rep, err = xmodem.SendBatch(ctx, over, []xmodem.File{{Name: name, Data: data}}, o)
	} else {
		rep, err = xmodem.Send(ctx, over, data, o)
	}
	// What the DUT says of the file may have come with its last answer: the steps behind
	// look from before the transfer on.
	r.t.Carried(data, rep.Acked, len(data), time.Now())
	var line *xmodem.Error
	if errors.As(err, &line) {
		return r.lineEnded(s, "the file to be taken", err, line.Kind, line.Last)
	}
	return err
}

// transferAnswer is how long a receiver is given for an answer; its own time-out is
// 10 s in the reference.
const transferAnswer = 15 * time.Second

// lineEnded says how a transfer over a line ended other than well. A no of the DUT on a
// line without fault is its answer; all else is none.
func (r *runner) lineEnded(s *profile.Step, what string, err, kind error, last []byte) error {
	return &StepError{At: s.At, Verb: s.Verb, What: what, Got: r.cut(err.Error()), Answer: last, Unanswered: !errors.Is(kind, stream.ErrRefused)}
}

// smp asks a boot loader's serial recovery.
func (r *runner) smp(ctx context.Context, s *profile.Step) error {
	q := s.SMP
	con, err := r.t.Talk(q.Console)
	if err != nil {
		return err
	}
	from := con.Mark()
	r.at[q.Console] = from
	over := stream.Over(con, from)
	c, err := smp.New(over, smp.Options{MTU: q.MTU, Answer: smpAnswer})
	if err != nil {
		return err
	}
	err = r.recovers(ctx, s, c)
	var code *smp.CodeError
	var line *smp.LineError
	switch {
	case errors.As(err, &code):
		return &StepError{At: s.At, Verb: s.Verb, What: "the boot loader to do it", Got: r.cut(err.Error()), Answer: fmt.Appendf(nil, "rc %d: %v", code.Code, err)}
	case errors.As(err, &line):
		return &StepError{At: s.At, Verb: s.Verb, What: "an answer of the boot loader", Got: r.cut(err.Error()), Answer: line.Last, Unanswered: true}
	}
	return err
}

// smpAnswer is how long a boot loader is given for an answer.
const smpAnswer = 5 * time.Second

// recovers does what a step of smp says, in its order.
func (r *runner) recovers(ctx context.Context, s *profile.Step, c *smp.Client) error {
	q := s.SMP
	if q.Echo != "" {
		back, err := c.Echo(ctx, q.Echo)
		if err != nil {
			return err
		}
		if back != q.Echo {
			return r.failed(s, fmt.Sprintf("%q to come back", q.Echo), back)
		}
	}
	if q.File != "" {
		data, err := r.load(q.File)
		if err != nil {
			return err
		}
		up, err := c.Upload(ctx, data, smp.Upload{Image: q.Slot, SHA: true})
		r.t.Carried(data, up.Sent, len(data), time.Now())
		if err != nil {
			return err
		}
		if q.Test || q.Confirm {
			if err := r.keep(ctx, s, c, q.Confirm); err != nil {
				return err
			}
		}
	}
	if q.Reset {
		return c.Reset(ctx)
	}
	return nil
}

// keep has the image that was uploaded tried or kept: the one that neither runs nor is
// confirmed.
func (r *runner) keep(ctx context.Context, s *profile.Step, c *smp.Client, confirm bool) error {
	images, err := c.Images(ctx)
	if err != nil {
		return err
	}
	for _, img := range images {
		if !img.Active && !img.Confirmed {
			_, err := c.SetState(ctx, img.Hash, confirm)
			return err
		}
	}
	var list []string
	for _, img := range images {
		list = append(list, fmt.Sprintf("slot %d: %s %s", img.Slot, img.Version, hex.EncodeToString(img.Hash)))
	}
	return r.failed(s, "an image that was uploaded among those in the slots", strings.Join(list, ", "))
}
