// Values as people read them.

// The part of a URI that people know: the user or number, else all of it.
export function short(uri) {
  if (!uri) return "";
  const inner = /<([^>]*)>/.exec(uri)?.[1] ?? uri;
  const match = /^(?:sips?|tel):([^@;?]+)(?:@|;|\?|$)/i.exec(inner);
  if (!match) return inner;
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return match[1];
  }
}

// Seconds as "1:02:03" or "2:03".
export function lasting(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

// The time of day, in the browser's zone; with the date where it is another one.
export function moment(text) {
  if (!text) return "";
  const when = new Date(text);
  const time = when.toLocaleTimeString([], { hour12: false });
  return when.toDateString() === new Date().toDateString()
    ? time
    : `${when.toLocaleDateString(undefined, { month: "short", day: "numeric" })} ${time}`;
}

// Seconds since a time.
export function since(text) {
  return (Date.now() - Date.parse(text)) / 1000;
}

export function percent(ratio) {
  return ratio === null || ratio === undefined || Number.isNaN(ratio) ? "–" : `${Math.round(ratio * 100)} %`;
}

export function rounded(number, digits = 1) {
  return number === null || number === undefined || Number.isNaN(number) ? "–" : number.toFixed(digits);
}

export function milliseconds(seconds) {
  return seconds === null || seconds === undefined ? "–" : `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}
