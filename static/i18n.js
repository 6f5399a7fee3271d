/** The page's own words in Korean and English. What the server says comes in its own language. */

/** @typedef {"ko"|"en"} Lang */

const KEY = "eco.lang";

/** @type {Record<string, [ko: string, en: string]>} */
const TEXTS = {
  "page.title": ["어디에 버릴까요?", "Which bin?"],
  "start.title": ["무엇을 버리시나요?", "What are you throwing away?"],
  "start.lead": [
    "사진 한 장이면 어느 통에 어떻게 버리는지 알려 드려요.",
    "One photo tells you which bin it goes in, and how.",
  ],
  "start.camera": ["사진 찍기", "Take a photo"],
  "start.choose": ["사진 고르기", "Choose a photo"],
  "start.hint": ["여기로 끌어다 놓거나 붙여넣어도 돼요.", "Or drop it here, or paste it."],
  "start.privacy": [
    "사진은 보내기 전에 작게 줄이고 위치 정보를 지워요.",
    "Photos are made smaller and stripped of their location before they are sent.",
  ],
  "drop.here": ["여기에 놓으세요", "Drop the photo here"],
  "photo.not_image": [
    "사진 파일이 아니에요. JPEG, PNG, WebP 사진을 골라 주세요.",
    "That is not a picture. Please choose a JPEG, PNG or WebP photo.",
  ],
  "photo.unreadable": [
    "이 브라우저가 읽지 못하는 사진 형식이에요. JPEG, PNG, WebP로 저장해서 다시 골라 주세요.",
    "This browser cannot read that kind of picture. Please save it as JPEG, PNG or WebP and choose it again.",
  ],
  "scan.preview": ["고른 사진", "The photo you chose"],
  "scan.progress": ["진행", "Progress"],
  "scan.steps": ["단계", "Steps"],
  "scan.cancel": ["그만두기", "Stop"],
  "scan.title": ["사진을 살펴보고 있어요", "Looking at your photo"],
  "scan.title.own": ["규칙을 찾고 있어요", "Looking up the rules"],
  "scan.sending": ["사진을 보내고 있어요.", "Sending the photo."],
  "scan.now.vision": ["무엇인지 알아보는 중이에요.", "Finding out what it is."],
  "scan.now.rule": ["이곳의 분리배출 규칙을 찾는 중이에요.", "Finding the sorting rule that holds here."],
  "scan.now.answer": ["답을 정리하는 중이에요.", "Putting the answer together."],
  "scan.now.reward": ["거의 다 됐어요.", "Almost done."],
  "step.vision": ["사진", "Photo"],
  "step.rule": ["규칙", "Rule"],
  "step.answer": ["답", "Answer"],
  "step.reward": ["보상", "Reward"],
  "step.done": ["{step} 단계 완료", "{step} done"],
  "step.failed": ["{step} 단계 실패", "{step} failed"],
  "mark.done": ["완료", "done"],
  "mark.active": ["진행 중", "in progress"],
  "mark.todo": ["대기", "not yet"],
  "mark.failed": ["실패", "failed"],
  "mark.skipped": ["없음", "none"],
  "link.reconnecting": ["연결이 끊겨 다시 잇고 있어요…", "The connection dropped. Reconnecting…"],
  "link.polling": ["실시간 연결 없이 답을 기다리고 있어요.", "Waiting for the answer without the live connection."],
  "wait.title": ["지금은 조금 붐벼요", "It is busy right now"],
  "wait.text": ["사진은 그대로 두고 곧 다시 보낼게요.", "Your photo is kept and sent again in a moment."],
  "wait.left": ["{n}초 뒤에 다시 보내요", "Sending again in {n} s"],
  "wait.now": ["지금 다시 보내기", "Send it now"],
  "answer.eyebrow": ["여기로 배출해 주세요", "It goes to"],
  "answer.eyebrow.none": ["이렇게 보여요", "This looks like"],
  "answer.mark": ["{shape} 표시를 찾으세요", "Look for the {shape} sign"],
  "answer.seen": ["사진에서 본 것", "In the photo"],
  "answer.chosen": ["직접 고르신 것", "Your choice"],
  "answer.steps": ["이렇게 해 주세요", "How to do it"],
  "answer.not": ["이런 것은 안 돼요", "Not these"],
  "answer.why": ["알아 두세요", "Good to know"],
  "answer.layer": ["적용 범위", "Applies as"],
  "answer.source": ["출처", "Source"],
  "answer.other": ["아닌가요? 직접 고르기", "Not right? Choose it yourself"],
  "answer.again": ["다른 것 찍기", "Another one"],
  "answer.relang": ["한국어로 다시 보기", "Show this in English"],
  "sure.high": ["확실해요", "Very sure"],
  "sure.middle": ["꽤 확실해요", "Fairly sure"],
  "sure.low": ["확실하지 않아요", "Not very sure"],
  "layer.national": ["전국 공통 규칙", "National rule"],
  "layer.region": ["이 지역 규칙", "Rule of this region"],
  "layer.site": ["이곳의 통에 맞춘 규칙", "Rule for the bins at this place"],
  "reward.title": ["보상", "Reward"],
  "reward.points": ["+{n}점", "+{n} points"],
  "choose.title": ["무엇에 가장 가까운가요?", "Which is closest?"],
  "choose.own": ["무엇을 버리시나요?", "What is it?"],
  "choose.off": [
    "이 서버는 지금 사진을 보지 않아요. 직접 골라 주세요.",
    "This server does not look at pictures at the moment. Please choose yourself.",
  ],
  "choose.more": ["이 중에 없어요", "None of these"],
  "error.title": ["답을 얻지 못했어요", "No answer this time"],
  "error.network": ["서버에 연결하지 못했어요", "The server cannot be reached"],
  "error.network.text": [
    "사진은 그대로 있어요. 연결을 확인하고 다시 시도해 주세요.",
    "Your photo is kept. Check the connection and try again.",
  ],
  "error.offline": ["인터넷에 연결되어 있지 않아요", "You are offline"],
  "error.offline.text": [
    "사진은 그대로 있어요. 연결되면 저절로 다시 보낼게요.",
    "Your photo is kept. It is sent again as soon as the connection is back.",
  ],
  "error.unreadable": ["사진을 읽을 수 없어요", "This photo cannot be read"],
  "error.unreadable.text": [
    "파일이 손상되었거나 사진이 아닌 것 같아요. 다른 사진을 골라 주세요.",
    "The file seems to be damaged, or is no picture. Please choose another one.",
  ],
  "error.large.text": ["8 MB, 4천만 화소까지 받을 수 있어요.", "Up to 8 MB and 40 megapixels are accepted."],
  "error.type.text": ["JPEG, PNG, WebP 사진을 골라 주세요.", "Please choose a JPEG, PNG or WebP picture."],
  "error.busy.text": ["잠시 뒤에 다시 시도해 주세요.", "Please try again in a moment."],
  "error.storage.text": [
    "이 기기의 저장 공간에 문제가 있어요. 관리하시는 분께 알려 주세요.",
    "The storage of this station has a problem. Please tell whoever looks after it.",
  ],
  "error.gone.text": ["처음부터 다시 해 주세요.", "Please start again with a photo."],
  "error.large": ["사진이 너무 커요", "This photo is too large"],
  "error.type": ["받을 수 없는 사진 형식이에요", "This kind of picture is not accepted"],
  "error.busy": ["아직도 붐벼요", "Still too busy"],
  "error.storage": ["지금은 받을 수 없어요", "Nothing can be taken in right now"],
  "error.gone": ["이 스캔을 더는 찾을 수 없어요", "This scan is no longer there"],
  "error.detail": ["서버의 설명", "What the server says"],
  "error.retry": ["다시 시도", "Try again"],
  "error.other": ["다른 사진 고르기", "Choose another photo"],
  "shape.circle": ["동그라미", "circle"],
  "shape.square": ["네모", "square"],
  "shape.triangle": ["세모", "triangle"],
  "shape.diamond": ["마름모", "diamond"],
  "shape.pentagon": ["오각형", "pentagon"],
  "shape.hexagon": ["육각형", "hexagon"],
  "shape.octagon": ["팔각형", "octagon"],
  "shape.star": ["별", "star"],
  "shape.cross": ["십자", "cross"],
  "shape.drop": ["물방울", "drop"],
  "shape.bottle": ["병", "bottle"],
  "shape.tub": ["플라스틱 통", "tub"],
  "shape.bag": ["비닐봉투", "bag"],
  "shape.foam_box": ["스티로폼 상자", "foam box"],
  "shape.sheets": ["종이", "paper"],
  "shape.carton": ["우유팩", "carton"],
  "shape.jar": ["유리병", "jar"],
  "shape.return_arrow": ["되돌림 화살표", "return arrow"],
  "shape.can": ["캔", "can"],
  "shape.battery": ["건전지", "battery"],
  "shape.bulb": ["전구", "bulb"],
  "shape.plug": ["플러그", "plug"],
  "shape.shirt": ["옷", "shirt"],
  "shape.apple": ["사과", "apple"],
  "shape.tied_bag": ["묶은 봉투", "tied bag"],
  "shape.sack": ["마대", "sack"],
  "shape.warning": ["주의", "warning"],
  "shape.sofa": ["소파", "sofa"],
  "shape.bricks": ["벽돌", "bricks"],
  "shape.rounded": ["둥근 네모", "rounded square"],
};

/** @type {Lang} */
let current = "ko";

/** @returns {Lang} */
export const lang = () => current;

/**
 * @param {string} key
 * @param {Record<string, string|number>} [values] what fills {names} in the text
 * @returns {string}
 */
export function t(key, values = {}) {
  const pair = TEXTS[key];
  const text = pair ? pair[current === "ko" ? 0 : 1] : key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {string} key @returns {boolean} whether there are words for it */
export const known = (key) => Object.hasOwn(TEXTS, key);

/** @returns {Lang} the remembered language, else the browser's, else Korean */
export function firstLang() {
  let wanted = null;
  try {
    wanted = localStorage.getItem(KEY);
  } catch {
    // Storage is forbidden here: the browser's own language decides.
  }
  return (wanted ?? navigator.language ?? "ko").toLowerCase().startsWith("en") ? "en" : "ko";
}

/** @param {Lang} wanted */
export function remember(wanted) {
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // It holds for this visit only.
  }
}

/** @param {Lang} wanted Put the page's fixed texts into this language. */
export function speak(wanted) {
  current = wanted;
  document.documentElement.lang = wanted;
  document.title = `${t("page.title")} · eco_actor`;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
  for (const node of document.querySelectorAll("[data-alt]")) node.setAttribute("alt", t(node.dataset.alt));
  for (const node of document.querySelectorAll("[data-lang]")) {
    node.setAttribute("aria-pressed", String(node.dataset.lang === wanted));
  }
}
