# SPDX-License-Identifier: Apache-2.0
"""What is written and what is said: grammars over own word lists, and the cleaned prose of corpus.py.

Every generator takes a random.Random and is a function of its state alone. `held` templates belong to the evaluation sets."""
import re
import string
from pathlib import Path

ACCENTED = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœŠšŽž"
SYMBOLS = "€£¥§©®°±²³½µ·×÷–—‘’“”„…•«»¿¡"
CHARS = string.digits + string.ascii_letters + string.punctuation + " " + ACCENTED + SYMBOLS
CLASS = {c: i + 1 for i, c in enumerate(CHARS)}  # 0 = blank

FIRST = """James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph Jessica
Thomas Sarah Charles Karen Christopher Lisa Daniel Nancy Matthew Betty Anthony Margaret Mark Sandra Donald Ashley Steven Kimberly
Paul Emily Andrew Donna Joshua Michelle Kenneth Carol Kevin Amanda Brian Dorothy George Melissa Timothy Deborah Ronald Stephanie
Edward Rebecca Jason Sharon Jeffrey Laura Ryan Cynthia Jacob Kathleen Gary Amy Nicholas Angela Eric Shirley Jonathan Anna Stephen
Brenda Larry Pamela Justin Emma Scott Nicole Brandon Helen Benjamin Samantha Samuel Katherine Gregory Christine Alexander Debra
Frank Rachel Patrick Carolyn Raymond Janet Jack Catherine Dennis Maria Jerry Heather Tyler Diane Aaron Ruth Jose Julie Adam Olivia
Nathan Joyce Henry Virginia Douglas Victoria Zachary Kelly Peter Lauren Kyle Christina Noah Joan Ethan Evelyn Jeremy Judith Walter
Megan Christian Andrea Keith Cheryl Roger Hannah Terry Jacqueline Austin Martha Sean Gloria Gerald Teresa Carl Ann Harold Sara Dylan
Madison Arthur Frances Lawrence Kathryn Jordan Janice Jesse Jean Bryan Abigail Billy Alice Bruce Julia Gabriel Judy Joe Sophia Logan
Grace Alan Denise Juan Amber Albert Doris Willie Marilyn Elijah Danielle Wayne Beverly Randy Isabella Vincent Theresa Mason Diana
Roy Natalie Ralph Brittany Bobby Charlotte Russell Marie Bradley Kayla Philip Alexis Eugene Lori Oliver Freya Harry Priya Omar Leila
Hugo Ingrid Pedro Yusuf Chloe Aisha Ravi Mei Liam Zoe Owen Nora Felix Clara Ivan Elena Marco Lucia Tom Kate Ben Sam""".split()
LAST = """Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson Anderson Thomas
Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson Walker Young Allen King Wright Scott
Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Gomez Phillips Evans Turner Diaz
Parker Cruz Edwards Collins Reyes Stewart Morris Morales Murphy Cook Rogers Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly
Howard Ramos Kim Cox Ward Richardson Watson Brooks Chavez Wood James Bennett Gray Mendoza Ruiz Hughes Price Alvarez Castillo Sanders
Patel Myers Long Ross Foster Jimenez Powell Jenkins Perry Russell Sullivan Bell Coleman Butler Henderson Barnes Fisher Vasquez
Simmons Graham Murray Ford Hamilton Wallace West Cole Hayes Owens Gibson Bryant Ellis Stevens Marshall Hunter Harrison Fraser Burns
Webb Stone Hawkins Dunn Perkins Hudson Spencer Gardner Payne Pierce Berry Matthews Arnold Wagner Willis Watkins Olson Carroll Duncan
Snyder Hart Cunningham Lane Andrews Ruiz Harper Fox Riley Armstrong Carpenter Weaver Greene Lawrence Elliott Chapman Schmidt Muller
Becker Novak Kowalski Rossi Silva Singh Khan Ahmed Chen Wang Tanaka Sato Haddad Cohen Levy O'Brien O'Connor McDonald Fischer Weber""".split()
STREET = """Main Oak Pine Maple Cedar Elm Washington Lake Hill Park Walnut Spring North South Ridge Church Willow Mill Sunset Railroad
Jackson Cherry River Franklin Jefferson Center Highland Forest Meadow Chestnut Broad Green Prospect Lincoln Adams Madison Victoria
Station London Grove Queen King Albert Manor Kings York Windsor Bridge Garden Orchard Market High Mount Valley Bay Harbor Birch""".split()
STREET_KIND = ["Street", "Avenue", "Road", "Lane", "Drive", "Court", "Place", "Boulevard", "Way", "Close", "Terrace", "Square"]
STREET_SHORT = {"Street": "St.", "Avenue": "Ave", "Road": "Rd.", "Lane": "Ln", "Drive": "Dr.", "Boulevard": "Blvd"}
CITY = """Springfield Franklin Greenville Bristol Clinton Fairview Salem Madison Georgetown Arlington Ashland Burlington Manchester
Oxford Milton Newport Auburn Dayton Lexington Milford Riverside Cleveland Dover Hudson Kingston Oakland Chicago Boston Denver Seattle
Austin Portland Houston Phoenix Dallas Atlanta Miami Leeds London Paris Berlin Madrid Vienna Dublin York Bath Cambridge Glasgow
Edinburgh Cardiff Toronto Ottawa Sydney Melbourne Auckland Rome Milan Oslo Lisbon Prague Zurich Geneva Hamburg Munich Brussels""".split()
STATE = """Alabama Alaska Arizona Arkansas California Colorado Connecticut Delaware Florida Georgia Hawaii Idaho Illinois Indiana Iowa
Kansas Kentucky Louisiana Maine Maryland Massachusetts Michigan Minnesota Mississippi Missouri Montana Nebraska Nevada Ohio Oklahoma
Oregon Pennsylvania Tennessee Texas Utah Vermont Virginia Washington Wisconsin Wyoming""".split()
STATE2 = "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV OH OK OR PA TN TX UT VT VA WA WI WY".split()
MONTH = "January February March April May June July August September October November December".split()
DAY = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
DOMAIN = "example mail gmail outlook company northwind acme hotmail yahoo webmail office contoso bluebird globex initech mailbox city home".split()
TLD = ["com", "com", "com", "org", "net", "co.uk", "de", "edu", "io", "fr"]
ITEM = """Coffee Tea Milk Bread Butter Cheese Apples Bananas Oranges Rice Pasta Chicken Salad Soup Sandwich Water Juice Sugar Salt Eggs
Yogurt Tomatoes Onions Potatoes Pizza Burger Fries Soap Shampoo Paper Pens Batteries Cable Charger Notebook Stapler Socks Shirt Towel
Candles Flowers Magazine Ticket Parking Fuel Service Delivery Repair Labour Filter Hammer Nails Paint Brush Ladder Lamp Chair""".split()
UNIT = "kg g mg km m cm mm L ml °C °F % W kW V A Hz MHz GHz GB MB KB lb oz ft in mph km/h Pa bar kPa psi h min s ms dB Nm rpm m² m³ ppm".split()
FIELD = """Name Address Date Invoice Order Total Subtotal Tax VAT Phone Fax Email Customer Account Amount Due Balance Reference Subject
Page Quantity Price Description Signature City State Country Policy Patient Doctor Room Date of birth Serial No. Model Part No. Batch
Expires Weight Height Voltage Pressure Temperature Speed Status Version Department Contact Website Cashier Change Cash Card Terminal
Approved Table Guests Server Check-in Check-out Gate Seat Flight Train Platform Departure Arrival Ticket From To Issued Valid until""".replace("\n", " ")
FIELDS = re.split(r" (?=[A-Z])", FIELD)
HEADINGS = """Introduction|Summary|Terms and Conditions|Table of Contents|Chapter|Appendix|References|Notice|Important|Warning|Conclusion|
Annual Report|Meeting Minutes|Shipping Label|Bill To|Ship To|Thank you for your purchase!|Please retain this receipt|Opening hours|
No smoking|Emergency exit|Do not enter|Out of order|Open|Closed|Sale|Special offer|Price list|Menu of the day|For official use only|
Caution: hot surface|Mind the gap|Push|Pull|Exit|Entrance|Fragile|Handle with care|This way up|Best before|Made in Germany|
Keep out of reach of children|Authorised personnel only|Loading|Please wait|Settings|Save as|Cancel|OK|File Edit View Help|
Error|Connection lost|Low battery|Insert card|Remove card|Enter PIN|Transaction approved|Have a nice day!""".replace("\n", "").split("|")


class Corpus:
    def __init__(self, work):
        d = Path(work) / "corpus"
        rows = (d / "prose.txt").read_text().rstrip("\n").split("\n")
        self.held = rows[::40]               # never in training
        self.prose = [r for i, r in enumerate(rows) if i % 40]
        self.words = (d / "words.txt").read_text().rstrip("\n").split("\n")
        self.plain = [s for s in self.prose if re.match(r"^[A-Za-z ,.;?!']+$", s)]
        self.plain_held = [s for s in self.held if re.match(r"^[A-Za-z ,.;?!']+$", s)]
        common = {}
        for s in self.plain:
            for w in re.findall(r"[a-z']+", s):
                common[w] = common.get(w, 0) + 1
        self.common = [w for w, n in sorted(common.items(), key=lambda kv: (-kv[1], kv[0]))[:8000] if len(w) > 1 or w in "ai"]


# ---- Written ----

def digits(r, n):
    return "".join(r.choice(string.digits) for _ in range(n))


def group(s, sizes, sep):
    out, i = [], 0
    for n in sizes:
        out.append(s[i:i + n])
        i += n
    return sep.join(out)


def phone(r):
    d = digits(r, 15)
    return r.choice([
        lambda: f"({d[:3]}) {d[3:6]}-{d[6:10]}", lambda: group(d, (3, 3, 4), "-"), lambda: group(d, (3, 3, 4), "."),
        lambda: "+1 " + group(d, (3, 3, 4), " "), lambda: "+44 20 " + group(d, (4, 4), " "), lambda: "0" + group(d, (4, 6), " "),
        lambda: "+49 " + group(d, (3, 7), " "), lambda: "1-800-" + group(d, (3, 4), "-"), lambda: "+33 " + group(d, (1, 2, 2, 2, 2), " "),
        lambda: d[:10]])()


def card(r):
    d = r.choice("3456") + digits(r, 15)
    return r.choice([lambda: group(d, (4, 4, 4, 4), " "), lambda: group(d, (4, 4, 4, 4), "-"), lambda: d,
                     lambda: group(d, (4, 6, 5), " "), lambda: "**** **** **** " + d[:4], lambda: "XXXX-" + d[:4]])()


def amount(r):
    n = 10 ** r.uniform(0, 5)
    s = r.choice([f"{n:.2f}", f"{n:,.2f}", f"{n:.0f}", f"{n:,.0f}", f"{n:.2f}".replace(".", ",")])
    return r.choice(["$" + s, "€" + s, "£" + s, s + " €", s + " EUR", s + " USD", "USD " + s, s, "-" + s, s + "%", "$ " + s, "¥" + s])


def date(r):
    d, m, y = r.randint(1, 28), r.randint(1, 12), r.randint(1930, 2039)
    M = MONTH[m - 1]
    return r.choice([f"{d:02d}/{m:02d}/{y}", f"{y}-{m:02d}-{d:02d}", f"{d}.{m}.{y}", f"{d:02d}.{m:02d}.{y % 100:02d}", f"{M} {d}, {y}",
                     f"{d} {M} {y}", f"{M[:3]} {d}, {y}", f"{d} {M[:3]} {y}", f"{d}-{M[:3]}-{y}", f"{r.choice(DAY)}, {d} {M}", f"{M} {y}",
                     f"{r.choice(DAY)[:3]} {d:02d} {M[:3]}", str(y), f"{m:02d}/{y % 100:02d}"])


def clock(r):
    h, m = r.randint(0, 23), r.randint(0, 59)
    return r.choice([f"{h:02d}:{m:02d}", f"{h % 12 + 1}:{m:02d} {r.choice(['AM', 'PM', 'am', 'pm', 'a.m.', 'p.m.'])}", f"{h:02d}:{m:02d}:{r.randint(0, 59):02d}",
                     f"{h:02d}.{m:02d}", f"{h % 12 + 1} {r.choice(['AM', 'PM'])}"])


def name(r):
    f, l = r.choice(FIRST), r.choice(LAST)
    return r.choice([f"{f} {l}", f"{f} {l}", f"{f} {r.choice(string.ascii_uppercase)}. {l}", f"{l}, {f}", f"{r.choice(['Mr.', 'Mrs.', 'Ms.', 'Dr.', 'Prof.'])} {l}",
                     f"{f[0]}. {l}", f"{f.upper()} {l.upper()}", f])


def email(r):
    f, l = r.choice(FIRST).lower(), re.sub(r"[^a-z]", "", r.choice(LAST).lower())
    user = r.choice([f"{f}.{l}", f"{f}{l}", f"{f[0]}{l}", f"{f}_{l}", f"{f}{digits(r, r.randint(1, 4))}", f"{f}-{l}", f"info", f"{l}.{f}{digits(r, 2)}"])
    return f"{user}@{r.choice(DOMAIN)}.{r.choice(TLD)}"


def url(r, c):
    w = r.choice(c.words).lower().replace("'", "")
    return r.choice(["https://www.", "www.", "http://", "https://", ""]) + w + "." + r.choice(TLD) + \
        r.choice(["", "", "/" + r.choice(c.words).lower(), f"/{r.choice(c.words).lower()}?id={digits(r, 3)}", "/index.html"])


def address(r):
    k = r.choice(STREET_KIND)
    k = r.choice([k, STREET_SHORT.get(k, k)])
    s = f"{r.randint(1, 9999)} {r.choice(STREET)} {k}"
    z = digits(r, 5)
    i = r.randrange(len(STATE2))
    return r.choice([s, f"{s}, Apt. {r.randint(1, 99)}", f"{r.choice(CITY)}, {STATE2[i]} {z}", f"{s}, {r.choice(CITY)}, {STATE2[i]} {z}", f"{z} {r.choice(CITY)}",
                     f"{r.choice(CITY).upper()} {STATE2[i]} {z}-{digits(r, 4)}", f"P.O. Box {digits(r, r.randint(2, 5))}",
                     f"{r.choice(CITY)} {r.choice('BELMNSW')}{r.randint(1, 20)} {r.randint(1, 9)}{r.choice('ABDEFGH')}{r.choice('ABDEFGH')}", f"{r.choice(CITY)}, {STATE[i]}"])


def code(r):
    pool = r.choice([string.ascii_uppercase + string.digits, string.digits, string.hexdigits[:16], string.hexdigits[16:] + string.digits,
                     string.ascii_letters + string.digits, string.ascii_uppercase])
    g = lambda n: "".join(r.choice(pool) for _ in range(n))
    return r.choice([lambda: g(r.randint(3, 12)), lambda: "-".join(g(r.randint(2, 5)) for _ in range(r.randint(2, 4))), lambda: f"{g(3)}/{g(4)}",
                     lambda: f"#{g(5)}", lambda: f"{g(2)}.{g(3)}.{g(2)}", lambda: f"v{r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 9)}",
                     lambda: ".".join(str(r.randint(0, 255)) for _ in range(4)), lambda: f"{r.choice('ABDEF')}{r.choice('ETSR')}{digits(r, 2)} " + " ".join(digits(r, 4) for _ in range(r.randint(3, 5))),
                     lambda: ":".join("".join(r.choice("0123456789ABCDEF") for _ in range(2)) for _ in range(6)), lambda: f"{digits(r, 3)}-{digits(r, 2)}-{digits(r, 4)}",
                     lambda: f"ISBN 978-{digits(r, 1)}-{digits(r, 4)}-{digits(r, 4)}-{digits(r, 1)}"])()


def noise_string(r):
    pool = r.choice([string.printable[:94], string.ascii_letters + string.digits + ".,-", CHARS.replace(" ", ""), string.ascii_lowercase, ACCENTED + string.ascii_letters])
    return " ".join("".join(r.choice(pool) for _ in range(r.randint(1, 9))) for _ in range(r.randint(1, 5)))


def quantity(r):
    n = r.choice([str(r.randint(0, 999)), f"{r.uniform(0, 100):.1f}", f"{r.uniform(0, 10):.2f}", f"{r.uniform(0, 2000):,.0f}", f"±{r.uniform(0, 5):.1f}", f"-{r.randint(1, 40)}", f"{r.randint(1, 99)}×{r.randint(1, 99)}"])
    return n + r.choice(["", " "]) + r.choice(UNIT)


def receipt(r):
    it = " ".join(r.sample(ITEM, r.randint(1, 2)))
    p = f"{r.uniform(0.2, 120):.2f}"
    return r.choice([f"{r.randint(1, 12)} x {it} {p}", f"{it} {p}", f"{it} ${p}", f"{it} {r.randint(1, 9)} @ {p} {float(p) * 2:.2f}", f"{it.upper()} {p}", f"{it} {p} {r.choice('ABT')}",
                     f"{r.choice(['TOTAL', 'Total', 'SUBTOTAL', 'Tax', 'VAT 20%', 'CASH', 'Change', 'Balance due', 'VISA', 'Discount', 'Tip'])} {r.choice(['', '$', '€', '-'])}{p}",
                     f"{r.randint(1, 9)} {it} € {p}", f"{digits(r, 6)} {it} {p}"])


def accent(r, s):
    table = {"a": "àáâãäå", "e": "èéêë", "i": "ìíîï", "o": "òóôõöø", "u": "ùúûü", "c": "ç", "n": "ñ", "s": "šß", "z": "ž", "y": "ýÿ",
             "A": "ÀÁÂÃÄÅ", "E": "ÈÉÊË", "I": "ÌÍÎÏ", "O": "ÒÓÔÕÖØ", "U": "ÙÚÛÜ", "C": "Ç", "N": "Ñ", "S": "Š", "Z": "Ž", "Y": "Ý"}
    return "".join(r.choice(table[ch]) if ch in table and r.random() < 0.3 else ch for ch in s)


FOREIGN = """Straße Grüße Köln Müller Übung Größe für über schön Fußball naïve café déjà vu crème brûlée façade garçon élève château été
forêt où mañana señor niño corazón España São Paulo informação não coração pão Århus København smørrebrød Malmö Göteborg Łódź Zürich
Genève Besançon fiancée résumé jalapeño piñata açaí über-cool Señora Ärger Öffnung Überweisung Rückgabe gültig bis Mehrwertsteuer
Prix à payer Numéro de téléphone Français Español Português Italiano perché città università però più""".split()


def sentence(r, s):
    s = s.strip()
    if r.random() < 0.6:
        s = s[:1].upper() + s[1:]
        if s[-1].isalnum() and r.random() < 0.7:
            s += r.choice("....?!:;")
    return s


def prose(r, c, held=False):
    s = sentence(r, r.choice(c.held if held else c.prose))
    if r.random() < 0.15:
        s += " " + sentence(r, r.choice(c.held if held else c.prose))
    if r.random() < 0.12:
        q = r.choice(["“{}”", "‘{}’", '"{}"', "„{}“", "«{}»", "({})", "— {}", "• {}", "- {}", "{}…", "* {}", "1. {}", "a) {}", "§ {}", "[{}]"])
        s = q.format(s)
    if "'" in s and r.random() < 0.3:
        s = s.replace("'", "’")
    words = s.split()
    n = min(len(words), 1 + int(r.expovariate(1 / 6)))
    i = r.randint(0, len(words) - n)
    return " ".join(words[i:i + n])


def word_salad(r, c):
    out = []
    for _ in range(min(9, 1 + int(r.expovariate(1 / 2.5)))):
        w = r.choice(c.words)
        k = r.random()
        w = w.upper() if k < 0.12 else w.capitalize() if k < 0.3 else accent(r, w) if k < 0.4 else w
        k = r.random()
        w = w + r.choice(",.;:!?") if k < 0.12 else f"({w})" if k < 0.14 else f'"{w}"' if k < 0.16 else w + "-" + r.choice(c.words) if k < 0.19 else w
        out.append(w if r.random() > 0.08 else r.choice([digits(r, r.randint(1, 5)), amount(r), r.choice(FOREIGN), "&", "/", "+", "="]))
    return " ".join(out)


def labelled(r, c):
    v = r.choice([lambda: name(r), lambda: date(r), lambda: phone(r), lambda: email(r), lambda: amount(r), lambda: code(r), lambda: address(r), lambda: quantity(r), lambda: clock(r), lambda: card(r)])()
    f = r.choice(FIELDS)
    if r.random() < 0.2:
        f = f.upper()
    return r.choice(["{}: {}", "{}: {}", "{} {}", "{} # {}", "{}. {}", "{} = {}", "{}:{}", "{} - {}", "{} | {}"]).format(f, v)


HELD_LINES = [lambda r, c: f"Ref. {code(r)} of {date(r)}", lambda r, c: f"{name(r)} <{email(r)}>", lambda r, c: f"{amount(r)} paid by {name(r)}",
              lambda r, c: f"{clock(r)} {r.choice(CITY)} - {r.choice(CITY)}", lambda r, c: f"{quantity(r)} / {quantity(r)}"]


def line(r, c, held=False):
    """One printed line."""
    if held and r.random() < 0.3:
        s = r.choice(HELD_LINES)(r, c)
    else:
        k = r.random()
        s = (prose(r, c, held) if k < 0.30 else word_salad(r, c) if k < 0.46 else labelled(r, c) if k < 0.60 else receipt(r) if k < 0.67 else
             r.choice([lambda: name(r), lambda: date(r), lambda: phone(r), lambda: email(r), lambda: amount(r), lambda: address(r), lambda: card(r),
                       lambda: clock(r), lambda: url(r, c), lambda: quantity(r), lambda: r.choice(HEADINGS)])() if k < 0.84 else
             code(r) if k < 0.91 else noise_string(r) if k < 0.96 else accent(r, prose(r, c, held)) if k < 0.98 else
             " ".join(r.choice(FOREIGN) for _ in range(r.randint(1, 5))))
    if r.random() < 0.05:
        s = s.upper()
    s = "".join(ch for ch in s if ch in CLASS)
    return re.sub(r" +", " ", s).strip() or "-"


# ---- Said ----

DIGIT = "zero one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
ORD = """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth
seventeenth eighteenth nineteenth twentieth""".split()
NATO = """Alpha Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliet Kilo Lima Mike November Oscar Papa Quebec Romeo Sierra Tango
Uniform Victor Whiskey X-ray Yankee Zulu""".replace("X-ray", "Xray").split()


def cardinal(n):
    if n < 10:
        return DIGIT[n]
    if n < 20:
        return TEENS[n - 10]
    if n < 100:
        return TENS[n // 10] + (" " + DIGIT[n % 10] if n % 10 else "")
    if n < 1000:
        return DIGIT[n // 100] + " hundred" + (" " + cardinal(n % 100) if n % 100 else "")
    if n < 1000000:
        return cardinal(n // 1000) + " thousand" + (" " + cardinal(n % 1000) if n % 1000 else "")
    return cardinal(n // 1000000) + " million" + (" " + cardinal(n % 1000000) if n % 1000000 else "")


def ordinal(n):
    if n <= 20:
        return ORD[n - 1]
    return (TENS[n // 10] + " " + ORD[n % 10 - 1]) if n % 10 else {30: "thirtieth"}.get(n, "twentieth")


def say_digits(r, s, style=None):
    """A run of digits as it is read out."""
    style = style or r.choice(["plain", "plain", "grouped", "double", "pairs", "oh"])
    zero = r.choice(["oh", "oh", "zero"]) if style != "plain" else r.choice(["zero", "zero", "oh"])
    one = lambda d: zero if d == "0" else DIGIT[int(d)]
    if style == "pairs" and len(s) % 2 == 0:
        out = []
        for i in range(0, len(s), 2):
            p = s[i:i + 2]
            out.append(one(p[0]) + " " + one(p[1]) if p[0] == "0" else cardinal(int(p)))
        return r.choice([" ", ", "]).join(out)
    if style == "double":
        out, i = [], 0
        while i < len(s):
            n = 1
            while i + n < len(s) and s[i + n] == s[i] and n < 3:
                n += 1
            out.append(one(s[i]) if n == 1 else ("double " if n == 2 else "triple ") + one(s[i]))
            i += n
        return " ".join(out)
    words = [one(d) for d in s]
    if style == "plain" or len(s) < 6:
        return " ".join(words)
    n = r.choice([3, 4, 4])
    return ", ".join(" ".join(words[i:i + n]) for i in range(0, len(words), n))


def spell(r, w):
    w = re.sub(r"[^A-Za-z]", "", w).upper()
    k = r.random()
    if k < 0.6:
        return r.choice([" ", " ", ", "]).join(w)
    if k < 0.8:
        return ", ".join(f"{ch} as in {NATO[ord(ch) - 65]}" for ch in w[:6])
    return " ".join(NATO[ord(ch) - 65] for ch in w[:7])


def say_alnum(r, s):
    return " ".join(DIGIT[int(ch)] if ch.isdigit() else ch.upper() for ch in s if ch.isalnum())


def repeats(r, n):
    """Digits with doubles and triples more often than by chance."""
    out = ""
    while len(out) < n:
        out += r.choice(string.digits) * r.choice([1, 1, 1, 1, 2, 3])
    return out[:n]


def say_phone(r):
    d = repeats(r, r.choice([7, 10, 10, 10, 11]))
    if len(d) == 10 and r.random() < 0.5:
        a, b, c_ = d[:3], d[3:6], d[6:]
        st = r.choice(["plain", "double", "oh"])
        tail = say_digits(r, c_, r.choice([st, "pairs"]))
        return f"{say_digits(r, a, st)}, {say_digits(r, b, st)}, {tail}"
    return say_digits(r, d)


def say_card(r):
    d = r.choice("3456") + repeats(r, r.choice([15, 15, 15, 14]))
    if r.random() < 0.6:
        st = r.choice(["plain", "double", "pairs", "oh"])
        return ", ".join(say_digits(r, d[i:i + 4], st) for i in range(0, len(d), 4))
    return say_digits(r, d)


def say_year(r, y):
    if y >= 2000:
        return "two thousand" + (r.choice([" ", " and "]) + cardinal(y % 100) if y % 100 else "") if y < 2010 or r.random() < 0.3 else "twenty " + cardinal(y % 100)
    return cardinal(y // 100) + " " + ("oh " + DIGIT[y % 10] if 0 < y % 100 < 10 else cardinal(y % 100) if y % 100 else "hundred")


def say_date(r, lo=1935, hi=2030):
    d, m, y = r.randint(1, 28), r.randint(1, 12), r.randint(lo, hi)
    M, Y = MONTH[m - 1], say_year(r, y)
    return r.choice([f"{M} {ordinal(d)}, {Y}", f"the {ordinal(d)} of {M}, {Y}", f"{M} {ordinal(d)} {Y}", f"{M} the {ordinal(d)}", f"{cardinal(m)} slash {cardinal(d)} slash {Y}",
                     f"{cardinal(d)} {cardinal(m)} {Y}", f"{ordinal(d)} {M} {Y}"])


def say_time(r):
    h, m = r.randint(1, 12), r.choice([0, 0, 5, 10, 15, 20, 25, 30, 40, 45, 50, r.randint(1, 59)])
    ap = r.choice(["", "", " a.m.", " p.m.", " in the morning", " in the evening", " o'clock" if m == 0 else ""]).replace("a.m.", "A M").replace("p.m.", "P M")
    return cardinal(h) + ("" if m == 0 else " oh " + DIGIT[m] if m < 10 else " " + cardinal(m)) + ap


def say_amount(r):
    n = int(10 ** r.uniform(0, 4.3))
    u = r.choice(["dollars", "pounds", "euros", "dollars"])
    return cardinal(n) + " " + u + (f" and {cardinal(r.randint(1, 99))} {'pence' if u == 'pounds' else 'cents'}" if r.random() < 0.35 else "")


def say_email(r):
    e = email(r)
    user, dom = e.split("@")
    def part(s):
        s = re.sub(r"\d", lambda m: f" {DIGIT[int(m.group())]} ", s)
        s = s.replace(".", " dot ").replace("_", " underscore ").replace("-", r.choice([" dash ", " hyphen "]))
        return s
    u = part(user)
    if r.random() < 0.2:
        u = " ".join(spell(r, w) if len(w) < 9 and w not in ("dot", "underscore", "dash", "hyphen") + tuple(DIGIT) and r.random() < 0.6 else w for w in u.split())
    return re.sub(r" +", " ", f"{u} at {part(dom)}").strip().replace(" uk", " U K").replace(" de", " D E")


def say_address(r):
    n = r.choice([r.randint(1, 99), r.randint(100, 999), r.randint(1000, 9999)])
    num = cardinal(n) if n < 100 or r.random() < 0.3 else say_digits(r, str(n), r.choice(["plain", "pairs"]))
    s = f"{num} {r.choice(STREET)} {r.choice(STREET_KIND)}"
    if r.random() < 0.25:
        s += f", {r.choice(['apartment', 'flat', 'unit', 'suite'])} {cardinal(r.randint(1, 60))}"
    if r.random() < 0.7:
        s += f", {r.choice(CITY)}"
        if r.random() < 0.6:
            s += f", {r.choice(STATE)}" + (f", {say_digits(r, digits(r, 5), 'plain')}" if r.random() < 0.6 else "")
    return s


def say_ssn(r):
    d = repeats(r, 9)
    return ", ".join(say_digits(r, p, r.choice(["plain", "oh", "double"])) for p in (d[:3], d[3:5], d[5:]))


def say_code(r):
    s = "".join(r.choice(string.ascii_uppercase + string.digits * 2) for _ in range(r.randint(4, 9)))
    return say_alnum(r, s)


def full_name(r):
    return f"{r.choice(FIRST)} {r.choice(LAST)}"


SLOTS = {
    "name": full_name, "first": lambda r: r.choice(FIRST), "last": lambda r: r.choice(LAST), "phone": say_phone, "card": say_card,
    "date": say_date, "dob": lambda r: say_date(r, 1930, 2010), "time": say_time, "amount": say_amount, "email": say_email,
    "address": say_address, "ssn": say_ssn, "code": say_code, "city": lambda r: r.choice(CITY), "state": lambda r: r.choice(STATE),
    "zip": lambda r: say_digits(r, digits(r, 5), r.choice(["plain", "oh", "double"])), "n": lambda r: cardinal(r.randint(1, 200)),
    "cvv": lambda r: say_digits(r, repeats(r, 3), r.choice(["plain", "oh", "double"])), "last4": lambda r: say_digits(r, repeats(r, 4)),
    "expiry": lambda r: f"{r.choice([cardinal(r.randint(1, 12)), MONTH[r.randrange(12)], 'oh ' + DIGIT[r.randint(1, 9)]])} {r.choice(['', 'slash ', 'of '])}{r.choice(['twenty ', 'two thousand and ', ''])}{cardinal(r.randint(24, 39))}",
    "acct": lambda r: say_digits(r, repeats(r, r.choice([6, 8, 8, 9, 10, 12]))), "sort": lambda r: ", ".join(say_digits(r, digits(r, 2), "plain") for _ in range(3)),
    "day": lambda r: r.choice(DAY), "month": lambda r: r.choice(MONTH), "item": lambda r: r.choice(ITEM).lower(), "street": lambda r: f"{r.choice(STREET)} {r.choice(STREET_KIND)}",
    "spell_last": lambda r: (lambda l: f"{l}, {spell(r, l)}")(r.choice(LAST)), "spell_first": lambda r: (lambda l: f"{l}, {spell(r, l)}")(r.choice(FIRST)),
    "nato": lambda r: " ".join(r.choice(NATO) for _ in range(r.randint(3, 6))), "ssn4": lambda r: say_digits(r, repeats(r, 4), r.choice(["plain", "oh"])),
}
CALL = """Thank you for calling, my name is {first}, how can I help you today?
Thank you for calling customer service. This call may be recorded.
Hi, my name is {name}.
My name is {spell_last}.
It's {first}, {spell_last}.
Yes, the name on the account is {name}.
Could I take your full name, please?
Can you spell that for me?
Sure, it's {spell_first}.
My phone number is {phone}.
You can reach me at {phone}.
The number is {phone}.
Call me back on {phone}, please.
And what's the best number to reach you on?
My mobile is {phone}.
The card number is {card}.
It's {card}.
My credit card is {card}, and it expires {expiry}.
It's a visa card, {card}.
Can you read me the long number on the front of the card?
The expiry date is {expiry}.
The security code is {cvv}.
And the three digits on the back are {cvv}.
The last four digits are {last4}.
My social security number is {ssn}.
The last four of my social are {ssn4}.
My date of birth is {dob}.
I was born on {dob}.
Date of birth, {dob}.
I live at {address}.
My address is {address}.
Please send it to {address}.
We moved from {street} to {address}.
My zip code is {zip}.
The zip is {zip}.
My email is {email}.
You can email me at {email}.
It's {email}.
Is that {email}?
The account number is {acct}.
My account is {acct}, sort code {sort}.
The sort code is {sort}.
The order number is {code}.
My booking reference is {code}.
The policy number is {code}.
My passport number is {code}.
The licence plate is {code}.
The confirmation code is {nato}.
My password is {nato}.
Let me repeat that, {phone}.
So that's {card}, is that right?
I see a charge of {amount} on {date}.
You were charged {amount} twice.
We can refund {amount} to your card.
The balance on your account is {amount}.
Your payment of {amount} is due on {date}.
I'd like to pay {amount} now.
I ordered {n} boxes of {item} on {day}.
The appointment is on {day} at {time}.
Can we make it {time} on {day} instead?
I will be in {city} until {date}.
Are you calling from {city}, {state}?
One moment please while I look that up.
I'm sorry to hear that, let me check the account.
Okay, I have found your account, {first}.
Is there anything else I can help you with?
No, that's all, thank you very much.
Thanks for your help, {first}. Goodbye.
Could you hold the line for a moment?
I need to verify a few details first.
Can you confirm your postcode?
What is the reason for your call today?
I would like to cancel my order.
My internet has been down since {day}.
I never received the {item} I ordered.
The delivery was supposed to arrive on {date}.
I want to change my address to {address}.
Please update the phone number to {phone}.
Sorry, I didn't catch that.
Yes, that's correct.
No, that's not right.
Sure, go ahead.
All right, thank you.
Let me transfer you to the billing department.
Your reference number for this call is {code}.
My mother's maiden name is {last}.
My doctor is {name} at the {city} clinic.
I spoke with {first} last {day}.
The patient is {name}, born {dob}.
My employer is in {city}, the number there is {phone}.
Can I get a copy of the invoice for {month}?
The serial number is {code}.
It was {n} dollars when I looked on {day}.
He lives at {address} with {name}.""".split("\n")
CALL_HELD = """May I have the number we can call you on? Certainly, {phone}.
The number embossed on my card reads {card}.
For the record, I was born {dob} in {city}.
Could you post everything to {address}?
Write to me, {email}, any time.
That would be {amount}, payable by {date}.
Under the name {name}, reference {code}.
Our meeting with {name} moved to {day}, {time}.
The account ending in {last4} belongs to {name}.
Please quote {acct} when you call.""".split("\n")
SUBJECT = "I|we|they|you|he|she|my brother|my sister|the teacher|the driver|our neighbour|the children|the old man|the manager|people|the doctor|a friend|her mother|the cat|the company|everyone".split("|")
VERB_PAST = "bought|found|lost|opened|closed|wanted|liked|saw|needed|carried|cleaned|forgot|painted|moved|sold|used|watched|fixed|took|made|gave away|cooked|ate|read|wrote|heard about|talked about|waited for|looked at|thought about".split("|")
OBJECT = "a car|the house|some bread|the letter|a new phone|the red door|an old book|the window|two tickets|the garden|a cup of tea|the answer|a long story|the key|his coat|their money|the picture|a small boat|the kitchen table|the last train|breakfast|the song|a warm blanket|the road|my glasses|the dog|an umbrella|the computer|the whole cake|the wrong number".split("|")
TAIL = "yesterday|last night|in the morning|on the way home|before lunch|after work|at the station|in the park|this week|with a smile|without a word|again|for the first time|because it was raining|when the sun came up|near the river|at school|during the summer|two years ago|as soon as possible|and then went home|but nobody noticed|so we left early".split("|")


def fill(r, t):
    return re.sub(r"\{(\w+)\}", lambda m: SLOTS[m.group(1)](r), t)


def everyday(r):
    k = r.random()
    s, v, o, t = r.choice(SUBJECT), r.choice(VERB_PAST), r.choice(OBJECT), r.choice(TAIL)
    if k < 0.5:
        out = f"{s} {v} {o} {t}."
    elif k < 0.65:
        out = f"{r.choice(['did', 'why did', 'when did', 'how did', 'where did'])} {s} {r.choice('buy find lose open close want see need carry clean forget paint move sell use watch fix take make cook eat read write'.split())} {o}?"
    elif k < 0.8:
        out = f"{r.choice(['please', 'you should', 'can you', 'we have to', 'do not', 'I want to', 'let us', 'they will', 'she is going to'])} {r.choice('buy find lose open close see carry clean forget paint move sell use watch fix take make cook eat read write'.split())} {o} {t}."
    else:
        out = f"{s} {v} {o} {t}, {r.choice(['and', 'but', 'so', 'because', 'while'])} {r.choice(SUBJECT)} {r.choice(VERB_PAST)} {r.choice(OBJECT)}."
    return out


def plain_prose(r, c, held=False, longest=16):
    pool = c.plain_held if held else c.plain
    for _ in range(20):
        s = r.choice(pool).strip(" ,;")
        if 2 <= len(s.split()) <= longest:
            break
    return s


def salad(r, c):
    n = r.randint(2, 9)
    return " ".join(r.choice(c.common) if r.random() < 0.8 else r.choice(c.words).lower() for _ in range(n))


def spoken(r, c, held=False, short=False):
    """What is said, as its transcript has it: a sentence with capitals and full stop, every number in words."""
    k = r.random()
    if short:
        if k < 0.35:
            s = " ".join(r.choice(c.common) for _ in range(r.randint(1, 3)))
        elif k < 0.6:
            s = say_digits(r, repeats(r, r.randint(1, 5)), r.choice(["plain", "oh", "double"]))
        elif k < 0.7:
            s = " ".join(r.choice(string.ascii_uppercase) for _ in range(r.randint(1, 4)))
        elif k < 0.8:
            s = full_name(r)
        else:
            s = plain_prose(r, c, held, 4)
    elif k < 0.40:
        s = fill(r, r.choice(CALL_HELD if held and r.random() < 0.5 else CALL))
        if r.random() < 0.25:
            s += " " + fill(r, r.choice(CALL))
    elif k < 0.50:
        s = everyday(r)
    elif k < 0.78:
        s = plain_prose(r, c, held)
    elif k < 0.84:
        s = salad(r, c)
    elif k < 0.93:
        s = say_digits(r, repeats(r, r.randint(3, 19)))
    else:
        s = SLOTS[r.choice(sorted(SLOTS))](r)
    s = re.sub(r"[;]", ",", s)
    s = re.sub(r"\s+", " ", s).strip(" ,")
    s = s[:1].upper() + s[1:]
    return s if s[-1:] in ".?!" else s + "."


def ctc_text(s):
    """A transcript in the alphabet of the CTC head."""
    return re.sub(r" +", " ", re.sub(r"[^a-z' ]", " ", s.lower().replace("’", "'"))).strip()
